"""The recorded curves of runs: which ones, as lines, as tables, with their newest numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import streamlit as st

from ui import figures, widgets
from vae import runs
from vae.runs import RunError, Status

Records = dict[str, list[dict[str, Any]]]


def pick_runs() -> list[str]:
    """Asks for runs, kept in the URL as ``runs``: those named there, else those under way.

    A run just started from the sidebar takes the stage, with the others under way.
    """
    ids = runs.ids()
    asked = [i for i in st.query_params.get("runs", "").split(",") if i]
    gone = [i for i in asked if i not in ids]
    if gone and "runs-shown" not in st.session_state:  # a link; what is deleted here just goes
        st.warning(
            f"There is no run “{widgets.plain(gone[0])}”: it was deleted, or the link is wrong."
        )
    active = [i for i, state in widgets.states().items() if state in runs.ACTIVE]
    shown = st.session_state.get("runs-shown")
    if started := st.session_state.pop("watch", None):
        shown = [started, *active]
    elif shown is None:
        shown = asked or active or [st.query_params.get("run") or ids[0]] if ids else []
    st.session_state["runs-shown"] = list(dict.fromkeys(i for i in shown if i in ids))
    chosen = st.multiselect("Runs", ids, key="runs-shown", format_func=widgets.title)
    st.query_params["runs"] = ",".join(chosen)
    return chosen


def _statuses(ids: list[str]) -> dict[str, Status]:
    """The status of each run that is there."""
    found = {}
    for run_id in ids:
        try:
            found[run_id] = runs.status(run_id)
        except RunError:
            continue
    return found


def show_states(chosen: list[str]) -> None:
    """A line for each run that is under way or ended badly."""
    found = _statuses(chosen)
    for run_id, status in found.items():
        name = widgets.plain(widgets.title(run_id))
        if status.state == "running":
            rate = f", {status.samples_per_second:,.0f} samples/s" * bool(status.samples_per_second)
            st.progress(status.progress, f"{name}: {widgets.epoch_of(run_id, status)}{rate}")
        elif status.state == "queued":
            st.caption(f"{name} waits for a free worker.")
        elif status.reason:
            st.warning(f"{name} {widgets.STATE_WORDS[status.state]}. {status.reason}")
    for run_id in chosen:
        if run_id not in found:
            st.warning(f"The run {widgets.plain(run_id)} was deleted; the other curves stay.")


def warn_if_mixed(chosen: list[str]) -> None:
    """Nats of different data are different things, and so are bounds of p(x) and p(x | y)."""
    known, told = {}, set()
    for run_id in chosen:
        with suppress(RunError):  # said by show_states
            config = runs.read_config(run_id)
            known[run_id] = (config.dataset.removesuffix("-subset"), config.binarisation == "none")
            told.add(config.conditional)
    if len(set(known.values())) > 1:
        st.info(
            "These runs were trained on different data: compare the shapes of their curves, not "
            "their heights, for nats of different data cannot be compared."
        )
    elif len(told) > 1:
        st.info(
            "Some of these runs are told the label y: their ELBO is a bound on log p(x | y), the "
            "others' on log p(x). Compared are images without and with what the label tells."
        )


def by_split(records: Records, field: str, x: str) -> dict[str, figures.Curve]:
    """Held-out and training curves of a field, after the initial weights' first point."""
    return {
        f"{name}, {word}": (
            [line[x] for line in lines[_first(lines) :]],
            [_number(line[split][field]) for line in lines[_first(lines) :]],
        )
        for name, lines in records.items()
        for split, word in widgets.SPLITS.items()
        if field in lines[-1][split]
    }


def _number(value: float | list[float]) -> float:
    """A value, or of what each level of codes has, the mean over the levels."""
    return sum(value) / len(value) if isinstance(value, list) else value


def with_field(records: Records, field: str) -> Records:
    """The runs that record a field: VAEs and VQ-VAEs have some of their own."""
    return {name: lines for name, lines in records.items() if field in lines[-1]["held_out"]}


def until(line: figures.Curve, end: float) -> figures.Curve:
    """The part of a curve up to some x."""
    kept = [(x, y) for x, y in zip(*line, strict=True) if x <= end]
    return [x for x, _ in kept], [y for _, y in kept]


def _first(lines: list[dict[str, Any]]) -> int:
    """Untrained weights score hundreds of nats lower and would flatten the rest: left out."""
    return 1 if len(lines) > 2 and lines[0]["epoch"] == 0 else 0


def values(
    records: Records, x: str, value: Callable[[dict[str, Any]], float], prefix: str = ""
) -> dict[str, figures.Curve]:
    """One curve a run, of a value of each line."""
    return {
        f"{prefix}{name}": ([line[x] for line in lines], [value(line) for line in lines])
        for name, lines in records.items()
    }


def chart(
    key: str,
    lines: dict[str, figures.Curve],
    *,
    x: str,
    x_title: str,
    y_title: str,
    y_floor: float | None = None,
    runs_shown: Sequence[str] = (),
) -> None:
    """Draws curves in place; training data dashed, one colour a run, by its place among
    ``runs_shown``: the same in every chart, also where some runs have no curve."""
    owners = {name: name.removesuffix(f", {_word(name)}") for name in lines}
    order = list(dict.fromkeys(owners.values()))
    if set(order) <= set(runs_shown):
        order = list(runs_shown)
    palette = figures.COLOURS
    option = figures.curves(
        lines,
        x_title=x_title,
        y_title=y_title,
        dashed=[name for name in lines if _word(name) == widgets.SPLITS["train"]],
        colours={name: palette[order.index(run) % len(palette)] for name, run in owners.items()},
        y_floor=y_floor,
    )
    st.echarts_chart(option, key=f"{key}-{x}", height=340, alt=f"{key} by {x}, in {y_title}")


def _word(name: str) -> str:
    """The split in a curve's name, if there is one."""
    return next((word for word in widgets.SPLITS.values() if name.endswith(f", {word}")), "")


def newest(records: Records, field: str = "elbo") -> str:
    """The last held-out value of each run, with its standard error."""
    parts = []
    for name, lines in records.items():
        last = lines[-1]["held_out"]
        value = widgets.nats(last[field], last[f"{field}_se"])
        parts.append(f"{widgets.plain(name)}: {value} nats (held-out, epoch {lines[-1]['epoch']})")
    return " · ".join(parts)


def downloads(chosen: list[str]) -> None:
    """The curves as a table; each chart's own toolbox saves its picture."""
    lines = [row for run_id in chosen for row in _rows(run_id)]
    if not lines:
        return
    file = io.StringIO()
    writer = csv.DictWriter(file, fieldnames=list(lines[0]))
    writer.writeheader()
    writer.writerows(lines)
    st.download_button(
        "Download the curves (CSV)",
        file.getvalue(),
        "curves.csv",
        "text/csv",
        on_click="ignore",
        help="Each chart's toolbox, at its top right, zooms and saves a picture.",
    )


def _rows(run_id: str) -> list[dict[str, Any]]:
    """The record of a run, flat."""
    own = ("epoch", "step", "seconds", "samples_per_second", "learning_rate", "beta")
    fields = ("elbo", "elbo_se", "rate", "distortion", "iwae", "iwae_se", "active_units")
    fields += ("elbo_uniform", "bits_per_dim", "squared_error", "commitment", "codebook")
    fields += ("perplexity", "usage", "dead", "batch_perplexity", "batch_usage")
    try:
        found = runs.metrics(run_id)
    except RunError:
        return []
    return [
        {"run": run_id}
        | {name: line[name] for name in own}
        | {
            f"{split}_{name}": line[split].get(name, "")
            for split in widgets.SPLITS
            for name in fields
        }
        for line in found
    ]
