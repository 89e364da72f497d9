"""The terminal: python -m vae train | resume | list | delete | evaluate | export | doctor."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import make_dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

import tyro
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from tyro.conf import FlagCreatePairsOff, Positional, arg

from vae.config import ConfigError, RunConfig
from vae.presets import PRESETS
from vae.reading import explain, read_config

PROGRAM = "python -m vae"

Run = Annotated[Positional[str], arg(metavar="RUN", help="The id of a run; `list` shows them.")]
Preset = Annotated[
    Literal[tuple(PRESETS)] | None,
    arg(
        metavar="|".join(PRESETS),
        help="Start from a configuration with a name; flags change it.",
        help_behavior_hint="",
    ),
]
ConfigFile = Annotated[
    Path | None,
    arg(
        name="config",
        metavar="FILE.json",
        help="Start from a file with fields of a run, or from the config.json of another run.",
        help_behavior_hint="",
    ),
]
Json = Annotated[bool, FlagCreatePairsOff, arg(help_behavior_hint="")]


def main(argv: list[str] | None = None) -> int:
    """Does what a command line asks for.

    Arguments:
        argv: The words after ``python -m vae``; those of this process if not given.

    Returns:
        0 if it was done, 1 if it could not be, 130 if it was interrupted.

    Raises:
        SystemExit: With 2 if the words make no sense, with 0 after ``--help``.
    """
    argv = sys.argv[1:] if argv is None else argv
    try:
        return tyro.extras.subcommand_cli_from_dict(
            {
                "train": _train_starting_from(_base(argv)),
                "resume": resume,
                "list": list_runs,
                "delete": delete,
                "evaluate": evaluate,
                "export": export,
                "doctor": doctor,
            },
            prog=PROGRAM,
            description="Trains variational autoencoders, and looks at what was trained.",
            args=argv,
        )
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    except Exception as error:  # what is not foreseen goes on, with its traceback
        sentence = _commands().sentence(error)
        if sentence is None:
            raise
        print(sentence, file=sys.stderr)
        return 1


def resume(run: Run) -> int:
    """Goes on with a run that was stopped or interrupted, from its last checkpoint."""
    return _commands().resume(run)


def list_runs(json: Json = False) -> int:
    """Shows all runs: the shipped ones, then the newest first.

    Args:
        json: Print a JSON array instead of a table.
    """
    return _commands().list_runs(as_json=json)


def delete(run: Run) -> int:
    """Moves a run to the trash; its training stops."""
    return _commands().delete(run)


def evaluate(
    run: Run,
    estimator: Literal["elbo", "iwae", "is", "ais", "exact"] = "elbo",
    k: Annotated[
        int | None,
        arg(
            metavar="INT", help_behavior_hint="(default: 1 of elbo, 1000 of iwae and is, 16 of ais)"
        ),
    ] = None,
    n: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(default: all)")] = None,
    split: Literal["held_out", "train"] = "held_out",
    epoch: Annotated[
        int | None, arg(metavar="INT", help_behavior_hint="(default: the newest)")
    ] = None,
    temperatures: int = 500,
    json: Json = False,
    out: Annotated[Path | None, arg(metavar="FILE.npz", help_behavior_hint="")] = None,
) -> int:
    """Estimates the log-evidence of data under a trained run, in nats.

    Args:
        estimator: The ELBO, the importance-weighted bound, importance sampling, annealed importance
            sampling, or the exact value (two latent dimensions, or a linear body).
        k: Samples per datum; chains of ais.
        n: How many data: the first n of the split, under fixed binarisation.
        split: Which data.
        epoch: An epoch whose weights were kept.
        temperatures: Temperatures of ais.
        json: Print one line of JSON instead of text.
        out: Keep the data `x`, and the `values` and `errors` of each, in this file.
    """
    return _commands().evaluate(
        run,
        estimator,
        k=k,
        n=n,
        split=split,
        epoch=epoch,
        temperatures=temperatures,
        as_json=json,
        out=out,
    )


def export(
    run: Run,
    to: Literal["tensorboard", "projector", "onnx", "script"],
    out: Annotated[
        Path | None, arg(metavar="DIR", help_behavior_hint="(default: exports/RUN/TO)")
    ] = None,
) -> int:
    """Writes a run in the format of another tool.

    Args:
        to: Curves for TensorBoard, latents for the Embedding Projector, the decoder as ONNX, or a
            plain PyTorch script with its weights.
        out: The folder to write into.
    """
    return _commands().export(run, to, out)


def doctor() -> int:
    """Says whether this machine has what ELBO Room needs, a line each."""
    return _commands().doctor()


def _train_starting_from(base: RunConfig) -> Any:
    """The train command, whose flags are the fields of a configuration, with their values."""
    fields = {name: f for name, f in RunConfig.model_fields.items() if name != "version"}
    flags = make_dataclass(
        "Flags",
        [
            (name, Annotated[field.annotation, arg(help=_help(field))], getattr(base, name))
            for name, field in fields.items()
        ],
    )

    def train(flags: Any, preset: Preset = None, file: ConfigFile = None) -> int:
        """Trains a new run here. Ctrl-C stops it with a checkpoint; `resume` goes on."""
        try:
            config = RunConfig(**{name: getattr(flags, name) for name in fields})
        except ValidationError as error:
            raise ConfigError(explain(error)) from None
        return _commands().train(config)

    train.__annotations__["flags"] = Annotated[flags, arg(name="")]
    return train


def _help(field: FieldInfo) -> str:
    """What a field means and its bounds, as far as the schema says."""
    signs = {"ge": "≥", "gt": ">", "le": "≤"}
    limits = [
        f"{sign} {getattr(part, name):.10g}"
        for part in field.metadata
        for name, sign in signs.items()
        if getattr(part, name, None) is not None
    ]
    return "; ".join(filter(None, [field.description, ", ".join(limits)]))


def _base(argv: list[str]) -> RunConfig:
    """The configuration that the flags of train change: a preset, a file, or the defaults."""
    if argv[:1] != ["train"]:
        return RunConfig()

    def source(preset: Preset = None, file: ConfigFile = None) -> RunConfig:
        """Where to start from."""
        if preset and file:
            raise ConfigError("A run starts from a preset or from a file: give one of the two.")
        return _read(file) if file else PRESETS[preset] if preset else RunConfig()

    words = argv[1:]
    base, _ = tyro.cli(
        source, prog=f"{PROGRAM} train", args=words, return_unknown_args=True, add_help=False
    )
    return base


def _read(path: Path) -> RunConfig:
    """The configuration in a file, alone or in what a run folder says about its run."""
    try:
        text = path.read_text(encoding="utf-8")
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ConfigError(f"{path} does not hold a configuration: it is no JSON.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}).") from None
    if isinstance(value, dict) and isinstance(value.get("config"), dict):
        text = json.dumps(value["config"])
    try:
        return read_config(text)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _commands() -> ModuleType:
    """What does the work, imported late: torch takes seconds, and ``--help`` needs none of it."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: no spinning while waiting
    from vae import commands

    return commands


if __name__ == "__main__":
    sys.exit(main())
