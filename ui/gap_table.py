"""The gaps over a few hundred data, laid out as by Cremer et al. 2018."""

from __future__ import annotations

import math

import streamlit as st

from ui import analyses, widgets
from ui.posteriors import Subject
from vae import gap_table, gaps
from vae.gaps import Row
from vae.requests import Gaps
from vae.runs import Run

#: Cremer et al. 2018, table 2, quoted from memory; MNIST, 50 latent dimensions, factorised q.
PUBLISHED = ("Cremer et al. 2018: factorised, 50 dimensions", -89.80, -91.23, -92.57, 1.43, 1.34)
SIZES = (50, 100, 200, 500)


def show(run: Run, datum: Subject) -> None:
    """Asks for a size, waits for the job, and shows the table."""
    split = "train" if datum.source.startswith("train") else "held_out"
    left, right = st.columns([2, 5], vertical_alignment="bottom")
    n = left.select_slider("Data", SIZES, value=100, key="table-n", bind="query-params")
    ask = Gaps(epoch=datum.epoch, split=split, n=n, families=("diagonal", "full", "flow"))
    known = analyses.kept(run.id, ask)
    wanted = right.toggle(
        "Compute the table (a minute or more, in the background)",
        key="table",
        bind="query-params",
        disabled=known,
    )
    if not (known or wanted):
        st.caption("For each datum the best q of each family is sought by SVI; results are kept.")
        return
    arrays = analyses.ask(run.id, ask, f"the gaps of {n} data")
    if arrays is None:
        return
    found = gap_table.restore(arrays)
    rows = gaps.summary(found)
    st.markdown(_table(rows, found.sources))
    _remarks(rows, n)


def _table(rows: list[Row], sources: tuple[str, ...]) -> str:
    """The rows, with the published one under them."""
    head = (
        "| family of q* | log p(x) | L[q*] | L[q] | approximation gap | amortisation gap | "
        "medians of both gaps |\n|---|---|---|---|---|---|---|\n"
    )
    lines = [_line(row) for row in rows]
    name, *numbers = PUBLISHED
    lines.append(f"| *{name}* | {' | '.join(f'*{_number(v)}*' for v in numbers)} | |")
    return head + "\n".join(lines) + f"\n\nlog p(x) here: {', '.join(sources)}."


def _line(row: Row) -> str:
    """One family: means with their standard errors, in nats."""
    triples = (row.log_evidence, row.best, row.elbo, row.approximation, row.amortization)
    cells = [_estimate(mean, error) for mean, error, _ in triples]
    medians = [row.approximation[2], row.amortization[2]]
    last = " / ".join(_number(v) for v in medians if not math.isnan(v))
    return f"| {row.family} | {' | '.join(cells)} | {last} |"


def _estimate(mean: float, error: float) -> str:
    """A mean with its standard error; nothing where there is none."""
    return "" if math.isnan(mean) else f"{_number(mean)} ± {error:.2f}".replace(" ", "\u00a0")


def _number(value: float) -> str:
    """Two digits, and a minus sign of its own."""
    return f"{value:.2f}".replace("-", "\u2212")


def _remarks(rows: list[Row], n: int) -> None:
    """What to look for, what may not be compared, and what is not to be trusted."""
    widgets.look_for(
        "± is the standard error over the data. A freer family has the smaller approximation gap; "
        "the amortisation gap, that of the encoder's own family, is often the larger one, and a "
        "few data hold most of it: compare the mean with the median."
    )
    st.caption(
        "The last line is from a model with 50 latent dimensions, 1,000 training images, another "
        "binarisation (Larochelle's) and another search for q*; its log p(x) is estimated. "
        "With two latent dimensions log p(x) is tens of nats lower, so compare the gaps, not the "
        "levels. It is quoted from memory and was not verified."
    )
    lost = [f"{row.not_converged} of {n} for {row.family}" for row in rows if row.not_converged]
    if lost:
        st.warning(
            f"The search for q* did not come to rest for {', '.join(lost)}: these data stay in the "
            "means, where their approximation gap is too large, or their amortisation gap too "
            "small, by what the search has missed."
        )
    if rows[0].untrusted:
        st.warning(
            f"log p(x) of {rows[0].untrusted} of {n} data is not to be trusted (k\u0302): it "
            "is importance-sampled, and may be too low."
        )
