"""Figures of the Likelihood page with a point for each datum: gaps, and the map coloured by them.

Arrays in, plotly out. A datum is clicked by its number, which every point carries as its
``customdata``; nothing chosen is ever drawn into a figure, for a new figure would be drawn anew.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from ui.figures import LABEL_COLOURS, blank
from ui.likelihood_figures import EXACT, IS, NEUTRAL, bars

#: The smallest gap on a logarithmic axis, in nats.
FLOOR = 1e-3
#: More points than this are drawn by the graphics card.
MANY = 1_500


def sorted_gaps(
    index: np.ndarray,
    sampled: np.ndarray,
    error: np.ndarray,
    trusted: np.ndarray,
    exact: np.ndarray | None = None,
    exact_error: np.ndarray | None = None,
    *,
    logarithmic: bool = False,
) -> go.Figure:
    """The gap of every datum, the largest first.

    Arguments:
        index: The number of each datum, with shape (N).
        sampled: Importance-sampled log p(x) less ELBO, with shape (N), in nats: an arrow upwards,
            for the gap is at least as large on average.
        error: Its standard errors.
        trusted: Whether each importance-sampled value may be trusted; hollow where not.
        exact: The gap by the exact log p(x), where that is known.
        exact_error: Its errors.
        logarithmic: Whether to draw the logarithm; gaps below ``FLOOR`` are then drawn there.

    Returns:
        The exact gaps, if given; then sampled ones to be trusted, and those not to be.

    Example:
        >>> three = np.arange(3.0)
        >>> sorted_gaps(three, three, three, three > 0).data[0].x.tolist()
        [1, 2]
    """
    figure = blank(x_title="data, the largest gap first", y_title="gap (nats)", height=420)
    order = np.argsort(-(sampled if exact is None else exact))
    if logarithmic:
        figure.update_yaxes(type="log", dtick=1)
        sampled = np.maximum(sampled, FLOOR)
        exact = None if exact is None else np.maximum(exact, FLOOR)
    rank = np.empty(len(order), int)
    rank[order] = np.arange(1, len(order) + 1)
    draw = figure.add_scattergl if len(index) > MANY else figure.add_scatter
    if exact is not None:
        draw(
            x=rank[order],
            y=exact[order],
            customdata=index[order],
            name="exact log p(x) − ELBO",
            **_points(8, EXACT, "circle", error_y=_whiskers(exact_error[order], EXACT)),
        )
    kinds = {"IS − ELBO, at least this": (trusted, "triangle-up")}
    kinds["not to be trusted"] = (~trusted, "triangle-up-open")
    for name, (which, symbol) in kinds.items():
        shown = order[which[order]]
        draw(
            x=rank[shown],
            y=sampled[shown],
            customdata=index[shown],
            name=f"{name} ({len(shown)})",
            **_points(9, IS, symbol, error_y=_whiskers(error[shown], IS)),
        )
    return figure


def _whiskers(error: np.ndarray, colour: str) -> dict[str, object]:
    """Error bars without ends, for there are many."""
    return bars(error, colour) | {"width": 0, "thickness": 1.5}


def _points(size: int, colour: str, symbol: str | list[str], **more: object) -> dict[str, object]:
    """Points that one can click; the others stay as they are when one is chosen."""
    return {
        "mode": "markers",
        "marker": {
            "size": size,
            "color": colour,
            "symbol": symbol,
            "line": {"width": 1.5, "color": colour},
        },
        "selected": {"marker": {"size": size + 8}},
        "unselected": {"marker": {"opacity": 0.6}},
        **more,
    }


def against(
    index: np.ndarray,
    log_p: np.ndarray,
    error: np.ndarray,
    elbo: np.ndarray,
    elbo_error: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str],
    *,
    trusted: np.ndarray,
    exact: bool,
) -> go.Figure:
    """ELBO against log p(x), a point a datum, over the diagonal that none can cross.

    Arguments:
        index: The number of each datum, with shape (N).
        log_p: log p(x), exact or sampled, with shape (N), in nats.
        error: Its standard errors.
        elbo: The ELBO of each datum, with shape (N), in nats.
        elbo_error: Its standard errors.
        labels: The class of each datum, with shape (N).
        names: What the classes are called.
        trusted: Whether ``log_p`` may be trusted; hollow where not.
        exact: Whether ``log_p`` is exact; a sampled one points to the right, for the true value
            lies there on average.

    Returns:
        The diagonal; for each class its entry in the legend and its points; then the entry of
        hollow points, if there are any.

    Example:
        >>> two = np.array([0, 1])
        >>> shown = against(two, two, two, two, two, two, "ab", trusted=two > 0, exact=True)
        >>> [trace.name for trace in shown.data]
        ['ELBO = log p(x)', 'a', 'a', 'b', 'b', 'not to be trusted']
    """
    what = "log p(x), exact (nats)" if exact else "log p(x), sampled: at least this (nats)"
    figure = blank(x_title=what, y_title="ELBO (nats)", height=440)
    ends = [float(min(log_p.min(), elbo.min())), float(max(log_p.max(), elbo.max()))]
    style = {"color": NEUTRAL, "width": 3, "dash": "dash"}
    figure.add_scatter(
        x=ends, y=ends, name="ELBO = log p(x)", mode="lines", line=style, hoverinfo="skip"
    )
    draw = figure.add_scattergl if len(index) > MANY else figure.add_scatter
    full = "circle" if exact else "triangle-right"
    for label in np.unique(labels):
        of = labels == label
        colour = LABEL_COLOURS[int(label) % len(LABEL_COLOURS)]
        symbols = np.where(trusted[of], full, f"{full}-open").tolist()
        _entry(figure, names[int(label)], colour, full)
        draw(
            x=log_p[of],
            y=elbo[of],
            customdata=index[of],
            name=names[int(label)],
            legendgroup=names[int(label)],
            showlegend=False,
            error_x=_whiskers(error[of], colour),
            error_y=_whiskers(elbo_error[of], colour),
            **_points(9, colour, symbols),
        )
    if not np.all(trusted):
        _entry(figure, "not to be trusted", NEUTRAL, f"{full}-open")
    figure.update_layout(legend={"orientation": "v", "y": 1, "yanchor": "top", "x": 1.02})
    return figure


def _entry(figure: go.Figure, name: str, colour: str, symbol: str) -> None:
    """A line of the legend by itself: that of points would look like the first of them."""
    figure.add_scatter(
        x=[None], y=[None], name=name, legendgroup=name, **_points(9, colour, symbol)
    )


def by_class(
    index: np.ndarray, gap: np.ndarray, labels: np.ndarray, names: Sequence[str]
) -> go.Figure:
    """The gap of each class as a box: median, quartiles, and the outliers one by one.

    Arguments:
        index: The number of each datum, with shape (N).
        gap: The gaps, with shape (N), in nats.
        labels: The class of each datum, with shape (N).
        names: What the classes are called.

    Returns:
        One box a class.

    Example:
        >>> by_class(np.arange(3), np.ones(3), np.array([0, 0, 1]), "ab").data[0].name
        'a'
    """
    figure = blank(x_title="class", y_title="gap (nats)", height=440)
    for label in np.unique(labels):
        of = labels == label
        figure.add_box(
            y=gap[of],
            customdata=index[of],
            name=names[int(label)],
            marker={"color": LABEL_COLOURS[int(label) % len(LABEL_COLOURS)], "size": 7},
            line={"width": 2.5},
            boxpoints="outliers",
        )
    figure.update_layout(showlegend=False)
    figure.update_xaxes(type="category")
    return figure


def atlas(
    index: np.ndarray,
    at: np.ndarray,
    value: np.ndarray,
    title: str,
    axes: Sequence[str],
    *,
    counts: bool = False,
) -> go.Figure:
    """The latent map, coloured by a value of each datum.

    Arguments:
        index: The number of each datum, with shape (N).
        at: Where each is drawn, with shape (N, 2).
        value: What colours it, with shape (N); the outer 2 % share the colour of the end.
        title: What the value is, with its unit.
        axes: What the two axes are called.
        counts: Whether the value is a small whole number.

    Returns:
        The points; those of highest value are drawn last, and so lie on top.

    Example:
        >>> shown = atlas(np.arange(2), np.zeros((2, 2)), np.array([3.0, 1.0]), "gap", "ab")
        >>> shown.data[0].customdata.tolist()
        [1, 0]
    """
    figure = blank(x_title=axes[0], y_title=axes[1], height=560)
    order = np.argsort(np.where(np.isfinite(value), value, -np.inf), kind="stable")
    finite = value[np.isfinite(value)]
    low, high = np.quantile(finite, [0.0, 0.98]) if len(finite) else (0.0, 1.0)
    if counts:
        high = max(high, low + 1, finite.max() if len(finite) else 1)
    scale = {
        "title": {"text": title, "side": "right", "font": {"size": 16}},
        "tickfont": {"size": 15},
    }
    figure.add_scattergl(
        x=at[order, 0],
        y=at[order, 1],
        customdata=index[order],
        text=[f"datum {i}: {v:.2f}" for i, v in zip(index[order], value[order], strict=True)],
        hoverinfo="text",
        mode="markers",
        marker={
            "size": 10,
            "color": value[order],
            "cmin": float(low),
            "cmax": float(max(high, low + 1e-6)),
            "colorscale": "Plasma",
            "colorbar": scale | ({"dtick": 1} if counts else {}),
            "line": {"width": 0.8, "color": NEUTRAL},
        },
        selected={"marker": {"size": 20}},
        unselected={"marker": {"opacity": 0.7}},
        showlegend=False,
    )
    return figure
