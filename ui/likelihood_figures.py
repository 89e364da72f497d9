"""Figures of the Likelihood page about many data at once: bounds, forms, surgery, epochs.

Arrays in, plotly out; nothing here knows Streamlit, torch or the models. One colour stands for
one quantity on the whole page.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from ui.figures import blank

ELBO, IWAE, IS, AIS = "#0072B2", "#56B4E9", "#E69F00", "#CC79A7"
EXACT, GAP, NEUTRAL = "#009E73", "#D55E00", "#888888"

Estimate = tuple[float, float]  # a value and its standard error, in nats

#: How figures are shown: without the toolbar, which covers legends on touch screens.
PLAIN = {"displayModeBar": False}


class Line(NamedTuple):
    """A named curve with its standard error, if it has one."""

    name: str
    value: Sequence[float] | np.ndarray
    error: Sequence[float] | np.ndarray | None
    colour: str
    dash: str = "solid"


def ladder(
    k: np.ndarray,
    value: np.ndarray,
    error: np.ndarray,
    *,
    exact: Estimate | None = None,
    sampled: tuple[int, float, float] | None = None,
    annealed: Estimate | None = None,
) -> go.Figure:
    """The bound against the number of samples, below the lines it cannot cross on average.

    Arguments:
        k: Samples K, with shape (L).
        value: The bound for each K, with shape (L), in nats; K = 1 is the ELBO.
        error: Its standard errors, with shape (L).
        exact: log p(x) with its error, where it can be computed: a line with its band.
        sampled: K, value and standard error of importance sampling: an arrow upwards, for it is
            at or below log p(x) on average.
        annealed: Value and standard error of annealed importance sampling, a lower bound too.

    Returns:
        The bound first, then whatever else was given.

    Example:
        >>> ladder(np.array([1, 10]), np.array([-3.0, -2.0]), np.zeros(2)).data[0].y.tolist()
        [-3.0, -2.0]
    """
    figure = blank(x_title="samples K", y_title="nats", height=420)
    figure.add_scatter(
        x=k,
        y=value,
        name="IWAE-K (K = 1: ELBO)",
        mode="lines+markers",
        line={"color": ELBO, "width": 4},
        marker={"size": 10},
        error_y=bars(error, ELBO),
    )
    if sampled is not None:
        at, estimate, deviation = sampled
        figure.add_scatter(
            x=[at],
            y=[estimate],
            name=f"IS, K = {at:,}: at least this, on average",
            mode="markers",
            marker={"color": IS, "size": 16, "symbol": "triangle-up"},
            error_y=bars([deviation], IS),
        )
    ends = [float(np.min(k)), float(np.max(k))]
    if annealed is not None:
        _level(figure, ends, "AIS: at least this, on average", *annealed, AIS, "dash")
    if exact is not None:
        _level(figure, ends, "log p(x), exact", *exact, EXACT)
    figure.update_xaxes(type="log", dtick=1)
    return figure


def _level(
    figure: go.Figure, x: list[float], name: str, y: float, error: float, colour: str, dash="solid"
) -> None:
    """A horizontal line in its band of one standard error."""
    low, high = y - error, y + error
    figure.add_scatter(
        x=[*x, *x[::-1]], y=[low, low, high, high], **_band_style(colour), name=f"± {name}"
    )
    style = {"color": colour, "width": 4, "dash": dash}
    figure.add_scatter(x=x, y=[y, y], name=name, mode="lines", line=style)


def _band_style(colour: str) -> dict[str, object]:
    """A band has no line, no legend, and says nothing."""
    return {
        "fill": "toself",
        "fillcolor": colour,
        "opacity": 0.25,
        "mode": "none",
        "showlegend": False,
        "hoverinfo": "skip",
    }


def bars(error: Sequence[float] | np.ndarray, colour: str) -> dict[str, object]:
    """Error bars that one can see from the back."""
    return {"type": "data", "array": error, "color": colour, "thickness": 2.5, "width": 5}


def dots(
    names: Sequence[str],
    value: np.ndarray,
    error: np.ndarray,
    *,
    trusted: np.ndarray | None = None,
    colour: str = ELBO,
    line: tuple[str, float] | None = None,
) -> go.Figure:
    """One estimate a row, with its error bar; hollow where it is not to be trusted.

    Arguments:
        names: What each row is, the first on top.
        value: The estimates, in nats.
        error: Their standard errors.
        trusted: Whether each may be trusted; all, if not given.
        colour: The colour of the dots.
        line: A name and the value of a vertical line to compare with.

    Returns:
        The dots, then the line.

    Example:
        >>> two = np.arange(2.0)
        >>> list(dots(["a", "b"], two, two, trusted=two < 1).data[0].marker.symbol)
        ['circle', 'circle-open']
    """
    figure = blank(x_title="nats", y_title="", height=120 + 62 * len(names))
    solid = np.ones(len(names), bool) if trusted is None else trusted
    figure.add_scatter(
        x=value,
        y=list(names),
        mode="markers",
        name="estimate ± standard error",
        marker={
            "size": 14,
            "color": colour,
            "symbol": np.where(solid, "circle", "circle-open").tolist(),
            "line": {"width": 3, "color": colour},
        },
        error_x=bars(error, colour),
        showlegend=False,
    )
    if line is not None:
        name, at = line
        figure.add_scatter(
            x=[at, at],
            y=[names[0], names[-1]],
            mode="lines",
            name=name,
            line={"color": EXACT, "width": 4},
        )
    ends = np.concatenate([value - error, value + error, [] if line is None else [line[1]]])
    if len(ends := ends[np.isfinite(ends)]):
        pad = max(0.06 * np.ptp(ends), 1e-6)
        figure.update_xaxes(range=[ends.min() - pad, ends.max() + pad])
    figure.update_yaxes(autorange="reversed", automargin=True)
    return figure


def surgery(information: Estimate, marginal: Estimate, cap: float) -> go.Figure:
    """The rate as its two parts, with the cap on the first.

    Arguments:
        information: Mutual information of datum and latent under q, and its error, in nats.
        marginal: KL of the aggregate posterior from the prior, and its error, in nats.
        cap: log N, which the mutual information of N data cannot exceed.

    Returns:
        Two bars end to end, and a line at the cap.

    Example:
        >>> [bar.x[0] for bar in surgery((5.0, 0.1), (1.0, 0.1), 6.2).data[:2]]
        [5.0, 1.0]
    """
    figure = blank(x_title="nats", y_title="", height=200)
    parts = {
        "mutual information I(x; z)": (information, ELBO),
        "KL(q(z) ‖ p(z))": (marginal, IS),
    }
    for name, ((value, error), colour) in parts.items():
        figure.add_bar(
            x=[value],
            y=["rate"],
            name=f"{name} {value:.2f}",
            orientation="h",
            marker_color=colour,
            error_x=bars([error], NEUTRAL),
        )
    figure.add_scatter(
        x=[cap, cap],
        y=[-0.45, 0.45],
        yaxis="y2",
        mode="lines",
        name=f"log N {cap:.2f}: the most that I can be",
        line={"color": GAP, "width": 5, "dash": "dot"},
    )
    hidden = {"overlaying": "y", "range": [-0.5, 0.5], "visible": False}
    figure.update_layout(barmode="stack", yaxis2=hidden)
    return figure


def bands(x: Sequence[float], lines: Sequence[Line], *, x_title: str, y_title: str) -> go.Figure:
    """Curves, each in its band of one standard error.

    Arguments:
        x: Where all curves are known, for example the epochs; drawn by its logarithm if it
            spans more than a factor of ten and stays above 0.
        lines: The curves.
        x_title: What x is.
        y_title: What y is, with its unit.

    Returns:
        For each curve its band, where it has one, and its line.

    Example:
        >>> curve = Line("ELBO", [-3.0, -2.0], [0.1, 0.1], ELBO)
        >>> [trace.name for trace in bands([1, 2], [curve], x_title="epoch", y_title="nats").data]
        ['± ELBO', 'ELBO']
    """
    figure = blank(x_title=x_title, y_title=y_title, height=380)
    for line in lines:
        value = np.asarray(line.value, float)
        if line.error is not None:
            error = np.asarray(line.error, float)
            around = np.concatenate([value - error, (value + error)[::-1]])
            figure.add_scatter(
                x=[*x, *list(x)[::-1]], y=around, name=f"± {line.name}", **_band_style(line.colour)
            )
        figure.add_scatter(
            x=list(x),
            y=value,
            name=line.name,
            mode="lines+markers",
            line={"color": line.colour, "width": 4, "dash": line.dash},
            marker={"size": 8},
        )
    if min(x) > 0 and max(x) > 10 * min(x):
        ticks = [m * 10**e for e in range(9) for m in (1, 2, 5)]
        shown = [tick for tick in ticks if min(x) <= tick <= max(x)]
        figure.update_xaxes(type="log", tickvals=shown, ticktext=[f"{tick:,}" for tick in shown])
    return figure
