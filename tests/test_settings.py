"""The settings that Streamlit starts with: private by default, and readable."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from streamlit import config

SETTINGS = tomllib.loads((Path(__file__).parent.parent / ".streamlit/config.toml").read_text())


def flat(table: dict, prefix: str = "") -> dict[str, object]:
    """Nested tables as Streamlit names its options: ``theme.light.textColor``."""
    options: dict[str, object] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            options |= flat(value, f"{prefix}{key}.")
        else:
            options[prefix + key] = value
    return options


@pytest.mark.parametrize("option", flat(SETTINGS))
def test_streamlit_knows_the_option(option: str) -> None:
    assert option in config.get_config_options()


def test_nothing_leaves_the_machine() -> None:
    assert SETTINGS["server"]["address"] == "127.0.0.1"
    assert SETTINGS["server"]["enableStaticServing"] is False
    assert SETTINGS["browser"]["gatherUsageStats"] is False
    assert SETTINGS["client"]["showErrorDetails"] == "none"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_ten_chart_colours(theme: str) -> None:
    """With fewer than ten, plotly charts silently fall back to plotly's own colours."""
    colours = SETTINGS["theme"][theme]["chartCategoricalColors"]
    assert len(set(colours)) == len(colours) == 10
