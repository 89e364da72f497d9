"""Configurations read from JSON, and what is wrong with one in sentences for a person."""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError

from vae.config import CONFIG_VERSION, ConfigError, RunConfig


def explain(error: ValidationError) -> str:
    """One sentence per wrong field, for a person.

    Example:
        >>> try:
        ...     RunConfig(latent_dim=0)
        ... except ValidationError as error:
        ...     print(explain(error))
        latent_dim must be at least 1 (not 0).
    """
    sentences: dict[str, str] = {}
    for item in error.errors(include_url=False):
        field = str(item["loc"][0]) if item["loc"] else ""
        sentences.setdefault(field, _sentence(field, item))
    return " ".join(sentences.values())


def _sentence(field: str, item: Any) -> str:
    """What is wrong with one field, without the words of a type checker."""
    if item["type"] == "extra_forbidden":
        return f"{field}: there is no such field."
    if not field:
        message = item["msg"].removeprefix("Value error, ").rstrip(".")
        return message[0].upper() + message[1:] + "."
    rule = _RULES.get(item["type"], "is not usable: " + item["msg"][:1].lower() + item["msg"][1:])
    return f"{field} {rule.format(**item.get('ctx', {}))} (not {item['input']!r:.60})."


#: What each kind of error asks for; the braces are filled from the field's own limits.
_RULES = {
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "int_parsing": "takes whole numbers",
    "int_type": "takes whole numbers",
    "int_from_float": "takes whole numbers",
    "float_parsing": "must be a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "literal_error": "must be one of {expected}",
    "string_too_long": "may have at most {max_length} characters",
    "string_type": "must be a text",
    "too_short": "needs at least {min_length} entry",
    "too_long": "may have at most {max_length} entries",
}


def read_config(text: str) -> RunConfig:
    """Reads a configuration from JSON text.

    Arguments:
        text: A JSON object with the fields of ``RunConfig``.

    Returns:
        The configuration.

    Raises:
        ConfigError: If the text is no JSON, was written by a newer version, or a field is wrong.

    Example:
        >>> read_config('{"dataset": "digits"}').dataset
        'digits'
    """
    try:
        return RunConfig.model_validate_json(text)
    except ValidationError as error:
        newer = _newer_version(text)
        raise ConfigError(newer or explain(error)) from None


def _newer_version(text: str) -> str | None:
    """The sentence for a file of a later version, whose unknown fields would hide the reason."""
    try:
        version = json.loads(text)["version"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if isinstance(version, int) and version > CONFIG_VERSION:
        return (
            f"This configuration was written by a newer ELBO Room (version {version}, this one "
            f"reads {CONFIG_VERSION}); update the app to open it."
        )
    return None
