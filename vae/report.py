"""What ``evaluate`` prints: an estimator of log p(x) over data, and how far to believe it."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from vae import code_report, data, evaluate as evaluation, runs, terminal
from vae.estimators import DEFAULT_K, Estimator
from vae.evaluate import Evaluated, Split
from vae.files import write_bytes
from vae.terminal import CommandError
from vae.trust import MIN_EFFECTIVE, MIN_SAMPLES, pareto_threshold

SAID = {"elbo": "ELBO", "iwae": "IWAE", "is": "IS", "ais": "AIS", "exact": "exact log p(x)"}


def evaluate(
    run_id: str,
    estimator: Estimator,
    *,
    k: int | None,
    n: int | None,
    split: Split,
    epoch: int | None,
    temperatures: int,
    as_json: bool,
    out: Path | None,
) -> int:
    """Prints an estimator of log p(x) over the first n data of a split, in nats.

    Arguments:
        run_id: The id of the run.
        estimator: See ``estimators.estimate``.
        k: Samples per datum, or chains of AIS; the estimator's own number if not given.
        n: How many data; all if not given.
        split: ``"held_out"`` or ``"train"``.
        epoch: One whose weights were kept; the newest if not given.
        temperatures: Of AIS.
        as_json: Whether to print one line of JSON instead of text.
        out: Where to keep data, values and errors, as npz.

    Raises:
        CommandError: If a number is out of bounds, if the estimator cannot be had for this model,
            or if the file cannot be written.
        RunError: If the run has no checkpoint that can be read.
        DataError: If its data set cannot be had.
    """
    for name, value, least in (("k", k, 1), ("n", n, 1), ("temperatures", temperatures, 2)):
        if value is not None and value < least:
            raise CommandError(f"{name} must be at least {least} (not {value}).")
    if out and (out.is_dir() or not os.access(out.parent, os.W_OK)):
        raise CommandError(f"{out} cannot be written: name a file in a folder that can.")
    run = runs.load(run_id, epoch)
    if run.notice:
        print(run.notice, file=sys.stderr)
    dataset = terminal.have(run.config.dataset)
    k = DEFAULT_K[estimator] if k is None or estimator == "exact" else k
    k = None if run.config.is_vq else k  # its q is certain: nothing is drawn
    total = min(n or sys.maxsize, len(getattr(data.load(dataset), split)))
    with terminal.bar(total=total, unit="datum", desc=_with(estimator, k)) as bar:
        try:
            if run.config.is_vq:
                found, more = code_report.evaluate(
                    run, estimator, n=n, split=split, progress=bar.update
                )
            else:
                more = {}
                found = evaluation.evaluate(
                    run.model,
                    run.config,
                    estimator,
                    k=k,
                    n=n,
                    split=split,
                    temperatures=temperatures,
                    progress=bar.update,
                )
        except ValueError as error:
            raise CommandError(str(error)) from error
    if out:
        content = io.BytesIO()
        np.savez_compressed(
            content, x=found.x, values=found.values, errors=found.errors, **found.about
        )
        write_bytes(out, content.getvalue())
    about = {
        "run": run_id,
        "epoch": run.epoch,
        "dataset": dataset,
        "split": split,
        "estimator": estimator,
        "k": k,
        "n": total,
        "binarisation": "none" if run.config.binarisation == "none" else "fixed",
        "mean": found.mean,
        "standard_error": found.standard_error if total > 1 else None,
        "median": found.median,
    }
    if estimator == "ais":
        about["temperatures"] = temperatures
    if run.config.conditional:
        about["conditional"] = True
    about |= more or _worth(estimator, found)
    said = _sentences(about) if not more else [_mean(about), *code_report.sentences(about)]
    print(json.dumps(about) if as_json else "\n".join(said))
    return 0


def _worth(estimator: Estimator, found: Evaluated) -> dict[str, Any]:
    """What else is known of the values, over all data."""
    worth: dict[str, Any] = {}
    if estimator == "exact":
        worth |= {"error_mean": found.errors.mean(), "error_max": found.errors.max()}
    if "trusted" in found.about:
        worth["untrusted"] = int((~found.about["trusted"]).sum())
    for name in ("ess", "acceptance"):
        if name in found.about:
            worth[f"{name}_median"] = np.median(found.about[name])
    return {name: v if isinstance(v, int) else _finite(float(v)) for name, v in worth.items()}


def _finite(value: float) -> float | None:
    """A number that JSON knows."""
    return value if np.isfinite(value) else None


def _with(estimator: Estimator, k: int | None) -> str:
    """The estimator and its size."""
    size = {"ais": f" with {k} chains"}.get(estimator, f" with k = {k}") if k else ""
    return f"{SAID[estimator]}{size}"


def _mean(about: dict[str, Any]) -> str:
    """The value over all data, for a person."""
    estimator, k, n, error = (about[name] for name in ("estimator", "k", "n", "standard_error"))
    spread = "" if error is None else f" ± {error:.2f}"
    told = ", each told its label y (so that log p(x | y) is meant)"
    return (
        f"{about['run']}, epoch {about['epoch']}: {_with(estimator, k)} of the first {n:,} "
        f"{about['split'].replace('_', '-')} data of {about['dataset']}"
        f"{told if 'conditional' in about else ''}, binarisation {about['binarisation']}: "
        f"{about['mean']:.2f}{spread} nats, median {about['median']:.2f}."
    )


def _sentences(about: dict[str, Any]) -> list[str]:
    """What was found, and what it is worth, for a person."""
    estimator, k, n = (about[name] for name in ("estimator", "k", "n"))
    said = [_mean(about)]
    if estimator in ("iwae", "is"):
        rule = f"k̂ above {pareto_threshold(k):.2f}, or fewer than {MIN_EFFECTIVE:.0f} effective"
        said.append(
            f"{about['untrusted']:,} of {n:,} values cannot be trusted as log p(x) "
            f"({rule if k >= MIN_SAMPLES else 'too few'} samples); "
            f"median effective samples {about['ess_median']:.1f} of {k:,}."
        )
    if estimator == "ais":
        said.append(
            f"{about['untrusted']:,} of {n:,} values cannot be trusted; median acceptance "
            f"{about['acceptance_median']:.2f}, median effective chains "
            f"{about['ess_median']:.1f} of {k}, with {about['temperatures']:,} temperatures."
        )
    if estimator == "exact":
        said.append(f"It is off by an estimated {_error(about['error_mean'], about['error_max'])}")
    return said


def _error(mean: float | None, most: float | None) -> str:
    """The error of an exact value."""
    if most is None:
        return "unknown number of nats for some data, whose posteriors could not be resolved."
    return f"{mean:.1g} nats on average, {most:.1g} at most." if most else "0 nats: a closed form."
