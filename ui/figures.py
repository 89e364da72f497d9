"""Arrays in, figures out: ECharts for what is live, plotly for what stands still.

Nothing here knows Streamlit, torch or the models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from scipy.special import ndtr

#: Okabe and Ito's colours, in an order that keeps neighbours apart on light and dark.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C7AE6", "#999999")

#: Colours of the labels, as in the plane (``ui/canvas/colour.js``): ten apart for every eye.
LABEL_COLOURS = (
    *("#b01000", "#f89878", "#988800", "#e8d800", "#38f0e0"),
    *("#0088e8", "#4028f8", "#a8b0f8", "#8828a8", "#f838a0"),
)

Curve = tuple[Sequence[float], Sequence[float]]


def curves(
    lines: Mapping[str, Curve],
    *,
    x_title: str,
    y_title: str,
    dashed: Sequence[str] = (),
    colours: Mapping[str, str] | None = None,
    y_floor: float | None = None,
) -> dict[str, Any]:
    """Line chart of named curves as an ECharts option: redrawn in place, without flicker.

    Arguments:
        lines: For each name, its x and y values.
        x_title: What x is, with its unit.
        y_title: What y is, with its unit.
        dashed: The names whose lines are dashed.
        colours: A colour for each name; names without one take the next of ``COLOURS``.
        y_floor: Lowest y shown; chosen from the data if not given.

    Returns:
        The option; its toolbox zooms, restores, and saves a picture.

    Example:
        >>> option = curves({"a": ([0, 1], [2.0, 3.0])}, x_title="epoch", y_title="nats")
        >>> option["series"][0]["data"]
        [[0, 2.0], [1, 3.0]]
    """
    colours = colours or {}
    series = [
        {
            "name": name,
            "type": "line",
            "data": [list(point) for point in zip(*line, strict=True)],
            "showSymbol": len(line[0]) < 12,
            "symbolSize": 7,
            "lineStyle": {"width": 3, "type": "dashed" if name in dashed else "solid"},
            "itemStyle": {"color": colours.get(name, COLOURS[i % len(COLOURS)])},
            "emphasis": {"focus": "series"},
        }
        for i, (name, line) in enumerate(lines.items())
    ]
    y_axis: dict[str, Any] = {"type": "value", "name": y_title, "scale": True}
    if y_floor is not None:
        y_axis["min"] = y_floor
    return {
        "animation": False,
        "grid": {"left": 16, "right": 24, "top": 64, "bottom": 40, "containLabel": True},
        "legend": {
            "top": 0,
            "type": "scroll",
            "textStyle": {"fontSize": 14},
            "itemWidth": 36,
            "itemStyle": {"opacity": 0},  # the line alone, solid or dashed
        },
        "tooltip": {"trigger": "axis", "valueFormatter": "%.2f"},
        "toolbox": {
            "right": 8,
            "top": 26,
            "feature": {
                "dataZoom": {"yAxisIndex": False},
                "restore": {},
                "saveAsImage": {"pixelRatio": 2},
            },
        },
        "xAxis": {**_axis(x_title), "nameLocation": "middle", "nameGap": 30, "scale": True},
        "yAxis": {**_axis(y_title), **y_axis, "nameTextStyle": {"align": "left", "fontSize": 14}},
        "series": series,
    }


def _axis(name: str) -> dict[str, Any]:
    """A value axis with letters one can read from the back."""
    text = {"fontSize": 14}
    return {"type": "value", "name": name, "nameTextStyle": text, "axisLabel": text}


def rate_bars(
    rates: Mapping[str, Sequence[float]], runs_shown: Sequence[str] = ()
) -> dict[str, Any]:
    """Rate of each latent dimension, one group of bars a run, the busiest dimension first; a run's
    colour is that of its place among ``runs_shown``, if they are given.

    Example:
        >>> rate_bars({"run": [0.1, 3.0]})["series"][0]["data"]
        [3.0, 0.1]
    """
    longest = max((len(r) for r in rates.values()), default=0)
    first = next(iter(rates.values()), [])
    order = [int(d) for d in np.argsort(first)[::-1]]
    single = len(rates) == 1
    places = list(runs_shown) or list(rates)
    names = [f"z{d + 1}" for d in order] if single else [str(i + 1) for i in range(longest)]
    series = [
        {
            "name": name,
            "type": "bar",
            "data": [round(float(v), 3) for v in sorted(values, reverse=True)],
            "itemStyle": {"color": COLOURS[places.index(name) % len(COLOURS)]},
        }
        for name, values in rates.items()
    ]
    return {
        "animation": False,
        "grid": {"left": 16, "right": 24, "top": 48, "bottom": 40, "containLabel": True},
        "legend": {"top": 0, "textStyle": {"fontSize": 14}, "show": not single},
        "tooltip": {"trigger": "axis", "valueFormatter": "%.3f"},
        "xAxis": {
            **_axis("latent dimension, by rate"),
            "type": "category",
            "data": names,
            "nameLocation": "middle",
            "nameGap": 30,
        },
        "yAxis": {**_axis("rate (nats)"), "nameTextStyle": {"align": "left", "fontSize": 14}},
        "series": series,
    }


def marginals(loc: np.ndarray, scale: np.ndarray, names: Sequence[str]) -> go.Figure:
    """Density of the aggregate posterior along each axis, over the prior's bell curve.

    Arguments:
        loc: Means of q(z given x), with shape (N, 2).
        scale: Its scales, with shape (N, 2).
        names: What the two axes are called.

    Returns:
        Lines: the prior, then the mean over the data of the density of q, one line an axis,
        averaged over bins of 0.05 (single narrow q would be spikes).

    Example:
        >>> len(marginals(np.zeros((5, 2)), np.ones((5, 2)), ["z1", "z2"]).data)
        3
    """
    edges = np.linspace(-5, 5, 201)
    t = (edges[1:] + edges[:-1]) / 2
    figure = blank(x_title="z (standard deviations of the prior)", y_title="density", height=320)
    prior = np.exp(-0.5 * t**2) / np.sqrt(2 * np.pi)
    style = {"color": "#888888", "width": 3, "dash": "dash"}
    figure.add_scatter(x=t, y=prior, name="prior p(z)", line=style)
    for d, name in enumerate(names):
        below = ndtr((edges[:, None] - loc[:, d]) / scale[:, d]).mean(axis=1)
        density = np.diff(below) / np.diff(edges)
        figure.add_scatter(
            x=t, y=density, name=f"q({name}) over the data", line={"width": 3, "color": COLOURS[d]}
        )
    return figure


def elbo_bar(distortion: float, rate: float) -> go.Figure:
    """One datum's −ELBO as its two parts, lying end to end.

    Example:
        >>> [bar.x[0] for bar in elbo_bar(90.0, 6.0).data]
        [90.0, 6.0]
    """
    figure = blank(x_title="nats", y_title="", height=160)
    parts = {"distortion": (distortion, COLOURS[0]), "rate": (rate, COLOURS[1])}
    for name, (value, colour) in parts.items():
        figure.add_bar(
            x=[value],
            y=[""],
            name=f"{name} {value:.1f}",
            orientation="h",
            marker_color=colour,
        )
    figure.update_layout(barmode="stack")
    return figure


def encoder_ellipse(
    loc: np.ndarray, labels: np.ndarray, centre: np.ndarray, covariance: np.ndarray
) -> go.Figure:
    """Means of a set in the plane, and q of one datum as ellipses of one and two deviations.

    Example:
        >>> figure = encoder_ellipse(np.zeros((3, 2)), np.zeros(3), np.zeros(2), np.eye(2))
        >>> [round(float(trace.x.max()), 1) for trace in figure.data[1:]]
        [1.0, 1.0, 2.0, 2.0]
    """
    n = len(LABEL_COLOURS)
    steps = [(i / (n - 1), colour) for i, colour in enumerate(LABEL_COLOURS)]
    figure = blank(x_title="z1", y_title="z2", height=300)
    figure.add_scattergl(
        x=loc[:, 0],
        y=loc[:, 1],
        mode="markers",
        marker={"size": 4, "color": labels % n, "cmin": 0, "cmax": n - 1, "colorscale": steps},
        opacity=0.5,
        hoverinfo="skip",
    )
    angle = np.linspace(0, 2 * np.pi, 73)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    for deviations in (1, 2):
        x, y = centre[:, None] + deviations * np.linalg.cholesky(covariance) @ circle
        for colour, width in (("#FFFFFF", 6), ("#000000", 3)):  # seen on any ground
            figure.add_scatter(x=x, y=y, mode="lines", line={"color": colour, "width": width})
    figure.update_layout(showlegend=False, margin={"t": 8})
    figure.update_xaxes(range=[-4, 4])
    figure.update_yaxes(range=[-4, 4], scaleanchor="x")
    return figure


def blank(*, x_title: str, y_title: str, height: int) -> go.Figure:
    """An empty figure in the house's manner; the theme of the page gives the colours."""
    figure = go.Figure()
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 36, "b": 8},
        legend={
            "orientation": "h",
            "y": 1.02,
            "yanchor": "bottom",
            "x": 0,
            "traceorder": "normal",
            "font": {"size": 15},
        },
        font={"size": 15},
    )
    # Said of each text, for the theme of the page has sizes of its own.
    letters = {"tickfont": {"size": 15}}
    figure.update_xaxes(title={"text": x_title, "font": {"size": 16}}, **letters)
    figure.update_yaxes(title={"text": y_title, "font": {"size": 16}}, **letters)
    return figure


def enlarge(picture: np.ndarray, side: int) -> np.ndarray:
    """A small grey picture with every pixel as a block, about ``side`` pixels wide.

    Example:
        >>> enlarge(np.eye(2), 4).shape
        (4, 4)
    """
    return np.kron(picture, np.ones((max(1, side // picture.shape[1]),) * 2, picture.dtype))


def difference(original: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Two grey pictures' difference in colour: blue what is missing, orange what is too much.

    Example:
        >>> difference(np.array([[255]], np.uint8), np.array([[0]], np.uint8)).tolist()
        [[[0, 114, 178]]]
    """
    change = (other.astype(float) - original.astype(float))[..., None] / 255
    missing, excess = np.array([0, 114, 178]), np.array([213, 94, 0])
    colour = np.where(change < 0, missing, excess)
    weight = np.abs(change)
    return ((1 - weight) * 245 + weight * colour).round().astype(np.uint8)
