"""The Likelihood page's dealings with people: what is asked, and the tables of what was found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from ui import evidence, inference_cache, likelihood_figures as figures, widgets
from ui.evidence import Found
from ui.likelihood_figures import PLAIN, Estimate
from vae.requests import Evidence
from vae.runs import Run
from vae.trust import MIN_EFFECTIVE, pareto_threshold

SIZES = (100, 200, 500, 1_000, 2_000, 10_000)
SAMPLES = (100, 500, 1_000, 5_000)


def pick() -> tuple[Run, Evidence]:
    """Asks for a run, one of its epochs, data, and samples; all of it is kept in the URL."""
    first, second, third, fourth, fifth = st.columns([5, 4, 4, 4, 4])
    with first:
        run = widgets.pick_run()
    with second:
        epoch = widgets.pick_weights(run)
    with third:
        split = widgets.pick_split()
    most = min(inference_cache.size(run.id, split), SIZES[-1])
    sizes = [n for n in SIZES if n < most] + [most]
    n = fourth.select_slider(
        "Number of data N",
        sizes,
        value=min(500, sizes[-1]),
        key="n",
        bind="query-params",
        help="The first N of the set.",
    )
    k = fifth.select_slider(
        "Samples K",
        SAMPLES,
        value=1_000,
        key="k",
        bind="query-params",
        help="Draws of z for each datum. With 500 data and 1,000 draws the first result takes "
        "about half a minute, with a convolutional decoder some minutes; it is kept, and "
        "comes back at once the next time.",
    )
    return run, Evidence(epoch=epoch, split=split, n=int(n), k=int(k))


def headline(found: Found) -> None:
    """Every estimate as mean and median, each ± the standard error over the data."""
    rows = [("ELBO", found.elbo, "lower bound")]
    middle = len(found.ladder) // 2
    if len(found.ladder) > 2:
        name = f"IWAE-{found.ladder[middle]:,}"
        rows.append((name, found.iwae[:, middle], "tighter lower bound"))
    rows.append((f"IS, K = {found.ladder[-1]:,}", found.sampled, "lower bound, on average"))
    if found.exact is not None:
        rows.append(("**log p(x), exact**", found.exact, "computed, not sampled"))
    summary(rows, found.exact)
    if np.any(found.log_p > 0):
        st.caption(
            "Where log p(x) is positive: p(x) is a density here, and a density may exceed 1."
        )


def summary(rows: Sequence[tuple[str, np.ndarray, str]], exact: np.ndarray | None = None) -> None:
    """Values of the same data as mean and median, and how far each is below the exact ones."""
    head = [f"nats, over {len(rows[0][1]):,} data", "mean", "median", "what it is"]
    lines = [
        [name, nats(evidence.mean(values)), nats(evidence.median(values)), what]
        for name, values, what in rows
    ]
    if exact is not None:
        head.insert(3, "below log p(x)")
        for line, (_, values, _) in zip(lines, rows, strict=True):
            line.insert(3, "" if values is exact else nats(evidence.mean(exact - values)))
    table(head, lines)
    st.caption(
        "± is one standard error over the data, as if others had been chosen; of a median it is "
        "found by drawing the data again (bootstrap)."
        + " The last column compares the same data."
        * (exact is not None)
    )


def nats(estimate: Estimate) -> str:
    """A number with its error, to the digit that the error leaves.

    Example:
        >>> nats((-1.2345, 0.02)), nats((-0.00001, 0.0002))
        ('−1.23\\xa0±\\xa00.02', '0.000\\xa0±\\xa0<\\xa00.001')
    """
    value, error = estimate
    if not np.isfinite(error) or error >= 0.01:
        text = f"{value:z.2f} ± {error:.2f}"
    else:
        text = f"{value:z.3f} ± {small(error)}"
    return text.replace("-", "−").replace(" ", "\u00a0")


def small(value: float) -> str:
    """The size of an error, which may be tiny.

    Example:
        >>> small(0.25), small(2.7e-4), small(0.0)
        ('0.250', '<\\xa00.001', '0.000')
    """
    if 0 < abs(value) < 1e-3:
        return "<\u00a00.001"
    return f"{value:z.3f}".replace("-", "−")


def residual(value: float) -> str:
    """What is left over, to a thousandth: 0 below that.

    Example:
        >>> residual(-0.25), residual(-9.4e-4)
        ('−0.250', '0.000')
    """
    return "0.000" if abs(value) < 1e-3 else f"{value:.3f}".replace("-", "−")


def ladders(found: Found) -> None:
    """The bound over K, on average and in the middle, beside what it approaches."""
    both = {
        "Mean over the data": (np.mean, lambda v, e: evidence.noise_of_mean(e)),
        "Median over the data": (np.median, evidence.noise_of_median),
    }
    for column, (name, (centre, noise)) in zip(st.columns(2), both.items(), strict=True):
        column.markdown(f"**{name}**")
        exact = None
        if found.exact is not None:
            exact = evidence.error_of_exact(centre, found.exact, found.exact_error)
        sampled = float(centre(found.sampled)), float(noise(found.sampled, found.sampled_se))
        figure = figures.ladder(
            found.ladder,
            centre(found.iwae, axis=0),
            noise(found.iwae, found.iwae_se),
            exact=exact,
            sampled=(int(found.ladder[-1]), *sampled),
        )
        column.plotly_chart(
            figure, key=f"ladder-{name}", config=PLAIN, alt=f"Bounds over K. {name}"
        )


def what_the_ladder_says(found: Found) -> str:
    """What to look for in it, with the numbers of these data."""
    distrusted, limit = int((~found.trusted).sum()), pareto_threshold(int(found.ladder[-1]))
    text = (
        f"The bound rises with K and stays below log p(x) on average. **{distrusted:,} of "
        f"{len(found.index):,}** importance-sampled values are not to be trusted: their **k̂**, the "
        f"shape of the upper tail of the weights, is not below {limit:.2f}, or their **ESS** "
        "(effective sample size: how many equal weights the weights are worth) is below "
        f"{MIN_EFFECTIVE:.0f}."
    )
    if found.exact is None:
        return text + (
            " With more than two latent dimensions no grid can sum over z: there is no exact "
            "line, and the triangle is the best that sampling tells."
        )
    if lost := int((~np.isfinite(found.exact_error)).sum()):
        text += f" The grid did not resolve **{lost:,}** posteriors: do not believe their log p(x)."
    short = found.exact - found.sampled
    worst = int(np.argmax(short))
    at_worst = f"{short[worst]:.2f} nats below log p(x) for datum {found.index[worst]}"
    average = (
        f"on average {short.mean():.3f} nats are missing, in the middle {np.median(short):.3f} "
        "(the median of the differences, which is not the difference of the medians in the table)"
    )
    if short.mean() < 0.05:
        return f"{text} Importance sampling comes close here: at worst {at_worst}; {average}."
    return (
        f"{text} Why do mean and median differ? Importance sampling ends {at_worst}, and a mean "
        f"does not forget one such datum: {average}."
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table that one can read from the back."""
    lines = [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
    st.markdown("\n".join(lines))
