"""The figure of "VQ as hard EM": three algorithms on the same data, and the bound they share.

Arrays in, plotly out. The figure plays in the browser: one frame a step, with a slider.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ui import hard_em_shapes as shapes
from ui.figures import LABEL_COLOURS

#: A colour for each algorithm, from left to right, and for what belongs to none.
COLOURS = ("#0072B2", "#E69F00", "#009E73")
NEUTRAL = "#888888"
#: How long a step is shown while the figure plays, in milliseconds.
PACE = 500
#: A component with less than half a datum is as good as empty.
HELD = 0.5

#: Tick labels and titles of axes, said of each for the theme has sizes of its own.
LETTERS, TITLE = {"size": 15}, {"size": 16}


class Panel(NamedTuple):
    """One algorithm over T steps, the start being the first.

    ``centres`` (T, K, 2); ``q``, which centre each datum belongs to: its index (T, N), or
    probabilities (T, N, K); ``bound`` and ``log_likelihood`` (T), in nats per datum; ``sigma``
    (T), the width of the components where these are drawn, else the borders of cells are.
    """

    name: str
    centres: np.ndarray
    q: np.ndarray
    bound: np.ndarray
    log_likelihood: np.ndarray
    sigma: np.ndarray | None = None


def race(x: np.ndarray, panels: Sequence[Panel]) -> go.Figure:
    """Three algorithms side by side, step by step, over the bound of each.

    Arguments:
        x: The data, with shape (N, 2).
        panels: One a column; three at most, with equally many steps.

    Returns:
        For each panel borders (or circles), points, tails and centres, both on white seams; then
        for each its log-likelihood, where that is not the bound, and its bound; then where the step
        is. A frame holds what changes with the step.

    Example:
        >>> t = np.zeros(3)
        >>> one = Panel("k-means", np.zeros((3, 2, 2)), np.zeros((3, 5), int), t, t + 1)
        >>> figure = race(np.zeros((5, 2)), [one])
        >>> len(figure.frames), [trace.name for trace in figure.data[-4:-2]]
        (3, ['k-means: log p(x) there', 'k-means: bound F'])
    """
    n = len(panels)
    figure = make_subplots(
        rows=2,
        cols=n,
        specs=[[{}] * n, [{"colspan": n}] + [None] * (n - 1)],
        row_heights=[0.64, 0.36],
        vertical_spacing=0.09,
        horizontal_spacing=0.02,
        subplot_titles=[_title(*named) for named in zip(panels, COLOURS, strict=False)],
    )
    box = shapes.square([x, *(panel.centres for panel in panels)])
    for i, panel in enumerate(panels):
        for trace in _plane(x, panel, box):
            figure.add_trace(trace, row=1, col=i + 1)
    moving = list(range(len(figure.data)))
    for panel, colour in zip(panels, COLOURS, strict=False):
        _curves(figure, panel, colour)
    moving += [len(figure.data), len(figure.data) + 1]
    quiet = {"type": "scatter", "hoverinfo": "skip", "showlegend": False}
    across = {"mode": "lines", "line": {"color": NEUTRAL, "width": 2, "dash": "dash"}}
    dots = {"size": 13, "color": list(COLOURS[:n]), "line": {"width": 2, "color": "#FFFFFF"}}
    styles = (across, {"mode": "markers", "marker": dots})
    for style, place in zip(styles, _now(panels, 0), strict=True):
        figure.add_trace(quiet | style | place, row=2, col=1)
    steps = len(panels[0].centres)
    figure.frames = [
        {
            "name": str(t),
            "data": [*(m for panel in panels for m in _moving(panel, t, box)), *_now(panels, t)],
            "traces": moving,
        }
        for t in range(steps)
    ]
    _dress(figure, panels, box)
    _controls(figure, steps)
    return figure


def _title(panel: Panel, colour: str) -> str:
    """The name of a panel, with a dot in the colour of its curve."""
    return f'<span style="color:{colour}">●</span> <b>{panel.name}</b>'


def _plane(x: np.ndarray, panel: Panel, box: np.ndarray) -> list[dict[str, Any]]:
    """What a panel shows at its start, with all that no step changes."""
    quiet = {"type": "scatter", "hoverinfo": "skip", "showlegend": False}
    line, dots = quiet | {"mode": "lines"}, quiet | {"mode": "markers"}
    dash = "solid" if panel.sigma is None else "dot"
    still = [
        line | {"line": {"color": NEUTRAL, "width": 2.5, "dash": dash}},
        dots | _xy(x) | {"marker": {"size": 7, **_scale()}},
        line | {"line": {"color": "#FFFFFF", "width": 5}},
        line | {"line": {"color": "#000000", "width": 2.5}},
        dots | _crosses(panel.centres.shape[1]),
    ]
    moving = _moving(panel, 0, box)
    return [s | m | _both(s, m, "marker") for s, m in zip(still, moving, strict=True)]


def _both(one: dict[str, Any], other: dict[str, Any], name: str) -> dict[str, Any]:
    """The two parts of what both say about one thing."""
    return {name: one[name] | other[name]} if name in one and name in other else {}


def _moving(panel: Panel, t: int, box: np.ndarray) -> list[dict[str, Any]]:
    """What t steps change in a panel."""
    centres, q = panel.centres[t], panel.q[t]
    if q.ndim == 1:
        held = np.bincount(q, minlength=len(centres)) > 0
        colour: Any = q.astype(np.uint8)
    else:
        held = q.sum(axis=0) > HELD
        colour = shapes.blend(q)
    if panel.sigma is None:
        edges = shapes.borders(centres, 3 * box - 2 * box.mean(axis=0))  # to the edge of any panel
    else:
        edges = shapes.circles(centres, float(panel.sigma[t]))
    tail = _xy(shapes.tails(panel.centres[: t + 1], float(np.ptp(box)) / 200))
    return [
        _xy(edges),
        {"marker": {"color": colour}},
        tail,
        tail,
        _xy(np.tile(centres, (2, 1)))
        | {"marker": {"symbol": ["x" if h else "circle-x" for h in held] * 2}},
    ]


def _crosses(count: int) -> dict[str, Any]:
    """How centres look: each a white cross below one of its colour, to be seen on any ground."""
    white = ["#FFFFFF"] * count
    return {
        "hoverinfo": "text",
        "text": [f"centre {k + 1}" for k in range(count)] * 2,
        "marker": {
            "opacity": 1,  # marks of several sizes are half transparent otherwise
            "size": [15] * count + [13] * count,
            "color": white + [shapes.colour(k) for k in range(count)],
            "line": {"width": [5] * count + [2.5] * count, "color": white + ["#000000"] * count},
        },
    }


def _scale() -> dict[str, Any]:
    """Colours of data by index."""
    n = len(LABEL_COLOURS)
    return {
        "cmin": 0,
        "cmax": n - 1,
        "colorscale": [[k / (n - 1), shapes.colour(k)] for k in range(n)],
    }


def _xy(points: np.ndarray) -> dict[str, np.ndarray]:
    """Points (M, 2) as a trace takes them: half as long in the browser's memory."""
    x, y = np.asarray(points, np.float32).T
    return {"x": x, "y": y}


def _curves(figure: go.Figure, panel: Panel, colour: str) -> None:
    """The bound of an algorithm, and its log-likelihood above it: the gap between is tinted."""
    step = np.arange(len(panel.bound))
    open_gap = not np.allclose(panel.bound, panel.log_likelihood, atol=1e-9)
    if open_gap:
        figure.add_scatter(
            x=step,
            y=panel.log_likelihood,
            name=f"{panel.name}: log p(x) there",
            mode="lines",
            line={"color": colour, "width": 3, "dash": "dot"},
            row=2,
            col=1,
        )
    figure.add_scatter(
        x=step,
        y=panel.bound,
        name=f"{panel.name}: bound F" + ("" if open_gap else " = log p(x)"),
        mode="lines",
        line={"color": colour, "width": 4},
        fill="tonexty" if open_gap else None,
        fillcolor=f"rgba{(*bytes.fromhex(colour[1:]), 0.13)}",
        row=2,
        col=1,
    )


def _now(panels: Sequence[Panel], t: int) -> list[dict[str, Any]]:
    """Where the step is on the curves: a line across, and a dot on every bound."""
    levels = np.concatenate([[p.bound, p.log_likelihood] for p in panels])
    return [
        {"x": [t, t], "y": [float(levels.min()), float(levels.max())]},
        {"x": [t] * len(panels), "y": [float(p.bound[t]) for p in panels]},
    ]


def _dress(figure: go.Figure, panels: Sequence[Panel], box: np.ndarray) -> None:
    """Axes, titles and legend."""
    figure.update_layout(
        height=820,
        margin={"l": 8, "r": 8, "t": 124, "b": 8, "pad": 0},
        font=LETTERS,
        legend={"orientation": "h", "x": 0, "y": -0.12, "yanchor": "top", "font": LETTERS}
        | {"traceorder": "normal"},
    )
    figure.update_annotations(font={"size": 19}, yshift=6)
    frame = {"showline": True, "mirror": True, "linecolor": NEUTRAL, "showgrid": False}
    bare = {"showticklabels": False, "ticks": "", "zeroline": False, **frame}
    figure.update_xaxes(range=box[:, 0], **bare, row=1)
    figure.update_yaxes(range=box[:, 1], **bare, row=1)
    for i in range(len(panels)):
        figure.update_yaxes(scaleanchor=f"x{i + 1 if i else ''}", row=1, col=i + 1)
    figure.update_xaxes(title={"text": "step", "font": TITLE}, tickfont=LETTERS, row=2)
    figure.update_yaxes(
        title={"text": "nats per datum", "font": TITLE},
        tickfont=LETTERS,
        range=shapes.heights([level for p in panels for level in (p.bound, p.log_likelihood)]),
        row=2,
    )


def _controls(figure: go.Figure, steps: int) -> None:
    """Buttons and a slider that play the frames; they look the same in every theme."""
    still = {"mode": "immediate", "transition": {"duration": 0}}
    play = still | {"frame": {"duration": PACE, "redraw": False}, "fromcurrent": True}
    jump = still | {"frame": {"duration": 0, "redraw": False}}
    button = {"method": "animate", "execute": True}
    figure.update_layout(
        updatemenus=[
            {
                "type": "buttons",
                "direction": "right",
                "showactive": False,
                "buttons": [
                    button | {"label": "▶ Play", "args": [None, play]},
                    button | {"label": "❚❚ Pause", "args": [[None], jump]},
                ],
                "x": 0,
                "xanchor": "left",
                "y": 1,
                "yanchor": "bottom",
                "pad": {"b": 80, "t": 0, "l": 0, "r": 0},
                "bgcolor": "#E6E9ED",
                "bordercolor": NEUTRAL,
                "font": {"size": 16, "color": "#1C2530"},
            }
        ],
        sliders=[
            {
                "active": 0,
                "x": 0.42,
                "len": 0.58,
                "y": 1,
                "yanchor": "bottom",
                "pad": {"b": 52, "t": 0},
                "currentvalue": {"prefix": "step ", "font": {"size": 19}, "xanchor": "right"},
                "font": {"size": 13},
                "ticklen": 4,
                "minorticklen": 0,
                "bgcolor": NEUTRAL,
                "bordercolor": NEUTRAL,
                "transition": {"duration": 0},
                "steps": [
                    {"label": str(t), "method": "animate", "args": [[str(t)], jump]}
                    for t in range(steps)
                ],
            }
        ],
    )
