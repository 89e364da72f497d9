"""Figures of codebooks: arrays in, plotly out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from ui.figures import COLOURS

SIZE = 16


def usage_bars(shares: np.ndarray) -> go.Figure:
    """The share of each code, the busiest first, with a line at an even share.

    Example:
        >>> usage_bars(np.array([0.7, 0.3, 0.0])).data[0].y.tolist()
        [70.0, 30.0, 0.0]
    """
    percent = 100 * np.asarray(shares)
    ranks = np.arange(1, len(percent) + 1)
    figure = go.Figure(
        go.Bar(
            x=ranks,
            y=percent,
            marker_color=COLOURS[0],
            hovertemplate="number %{x}: %{y:.2f} %<extra></extra>",
        )
    )
    even = 100 / len(percent)
    figure.add_hline(y=even, line_dash="dash", line_width=2, line_color=COLOURS[5])
    figure.add_annotation(
        x=1,
        xref="paper",
        y=even,
        yanchor="bottom",
        xanchor="right",
        showarrow=False,
        text=f"even share {even:.2f} %",
        font_size=SIZE,
    )
    figure.update_layout(bargap=0.05)
    return _sized(figure, "codes, the busiest first", "share of latents (%)", 340)


def cost_bars(bits: Mapping[str, float]) -> go.Figure:
    """Bits a code, one bar a description.

    Example:
        >>> cost_bars({"even": 7.0, "by use": 6.0}).data[0].x
        (6.0, 7.0)
    """
    names, values = list(bits)[::-1], list(bits.values())[::-1]
    colours = (COLOURS[7], COLOURS[4], COLOURS[0])[: len(names)][::-1]
    figure = go.Figure(
        go.Bar(
            x=values,
            y=names,
            orientation="h",
            marker_color=colours,
            text=[f"{value:.2f}" for value in values],
            textfont_size=SIZE,
        )
    )
    figure.update_xaxes(rangemode="tozero")
    return _sized(figure, "bits a code", "", 100 + 60 * len(names))


def level_bars(
    distortion: Sequence[float], rate: Sequence[float], errors: Sequence[float]
) -> go.Figure:
    """Distortion and rate of 1, 2, … levels of codes, stacked: their sum is minus the bound.

    Example:
        >>> level_bars([50.0, 30.0], [10.0, 20.0], [1.0, 1.0]).data[1].y
        (10.0, 20.0)
    """
    names = [f"{n} level{'s' * (n > 1)}" for n in range(1, len(distortion) + 1)]
    figure = go.Figure(
        [
            go.Bar(
                x=names,
                y=list(distortion),
                name="distortion",
                marker_color=COLOURS[5],
                error_y={"array": list(errors), "thickness": 2},
            ),
            go.Bar(x=names, y=list(rate), name="rate, uniform prior", marker_color=COLOURS[0]),
        ]
    )
    figure.update_layout(barmode="stack", legend={"orientation": "h", "y": 1.15})
    return _sized(figure, "levels kept", "nats an image", 360)


def _sized(figure: go.Figure, x: str, y: str, height: int) -> go.Figure:
    """Titles and letters that can be read from the back."""
    figure.update_layout(height=height, margin={"l": 10, "r": 10, "t": 30, "b": 10})
    figure.update_xaxes(title=x, title_font_size=SIZE, tickfont_size=SIZE, automargin=True)
    figure.update_yaxes(title=y, title_font_size=SIZE, tickfont_size=SIZE, automargin=True)
    return figure
