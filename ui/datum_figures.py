"""Figures of one datum: what log p(x) is made of, and where the weight of its draws lies.

Arrays in, plotly out.
"""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from ui.figures import blank
from ui.likelihood_figures import ELBO, EXACT, GAP, IS, NEUTRAL, Estimate, bars


def evidence_bar(elbo: Estimate, kl: Estimate, log_p: Estimate) -> go.Figure:
    """ELBO and KL end to end, over log p(x) by itself: their ends must meet.

    The axis is cut: all bars begin far to the left, where the number is written.

    Arguments:
        elbo: The ELBO and its error, in nats.
        kl: KL(q ‖ posterior), computed on its own, and its error.
        log_p: log p(x) and its error.

    Returns:
        The bars of ELBO, KL and log p(x).

    Example:
        >>> bars = evidence_bar((-10.0, 0.0), (2.0, 0.0), (-8.0, 0.0)).data
        >>> [bar.base[0] + bar.x[0] for bar in bars]
        [-10.0, -8.0, -8.0]
    """
    figure = blank(x_title="nats (the axis is cut on the left)", y_title="", height=230)
    end = elbo[0] + kl[0]
    reach = max(abs(kl[0]), abs(log_p[0] - elbo[0]), 0.1)
    start = elbo[0] - reach
    parts = [
        (f"ELBO {elbo[0]:.2f}", "ELBO + KL", start, elbo, elbo[0] - start, ELBO),
        (f"+ KL(q ‖ posterior) {kl[0]:.2f}", "ELBO + KL", elbo[0], kl, kl[0], GAP),
        (f"log p(x) {log_p[0]:.2f}", "log p(x)", start, log_p, log_p[0] - start, EXACT),
    ]
    for name, row, base, (_, error), length, colour in parts:
        figure.add_bar(
            base=[base],
            x=[length],
            y=[row],
            name=name.replace("-", "−"),
            orientation="h",
            marker_color=colour,
            error_x=bars([error], NEUTRAL),
        )
    figure.update_layout(barmode="overlay")
    figure.update_xaxes(range=[start, max(end, log_p[0]) + 0.15 * reach])
    figure.update_yaxes(autorange="reversed")
    return figure


def weights(log_w: np.ndarray, lines: dict[str, tuple[float, str]], bins: int = 60) -> go.Figure:
    """Where the draws lie, and where their weight does.

    Arguments:
        log_w: Log-weights of one datum, with shape (K), in nats.
        lines: Named values to compare with, each with its colour.
        bins: How many bars.

    Returns:
        The share of the draws in each bin, the share of the total weight, then the lines.

    Example:
        >>> shown = weights(np.log([1.0, 1.0, 2.0]), {}, bins=2)
        >>> [np.round(trace.y, 3).tolist() for trace in shown.data]
        [[0.667, 0.333], [0.5, 0.5]]
    """
    figure = blank(x_title="log-weight (nats)", y_title="share", height=400)
    # A few draws far below would squeeze the rest: they are counted in the first bar.
    low = max(log_w.min(), np.quantile(log_w, 0.01) - 2)
    ends = [low + 1e-6, log_w.max(), *(at for at, _ in lines.values())]
    edges = np.linspace(low, max(ends), bins + 1)
    shown = np.clip(log_w, edges[0], edges[-1])
    share = np.exp(log_w - log_w.max())
    parts = {"of the draws": (None, ELBO), "of their total weight": (share / share.sum(), IS)}
    for name, (each, colour) in parts.items():
        height, _ = np.histogram(shown, edges, weights=each)
        figure.add_bar(
            x=(edges[1:] + edges[:-1]) / 2,
            y=height if each is not None else height / len(log_w),
            width=edges[1] - edges[0],
            name=name,
            marker={"color": colour, "opacity": 0.75},
        )
    top = max(float(np.max(trace.y)) for trace in figure.data)
    for name, (at, colour) in lines.items():
        figure.add_scatter(
            x=[at, at],
            y=[0, top],
            mode="lines",
            name=name,
            line={"color": colour, "width": 3, "dash": "dash"},
        )
    pad = 0.03 * (edges[-1] - edges[0])
    figure.update_layout(barmode="overlay", bargap=0)
    figure.update_xaxes(range=[edges[0] - pad, edges[-1] + pad])
    return figure
