"""Figures of the Inference page: where the gap lies, and densities on one axis.

Arrays in, plotly out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from ui.figures import blank
from ui.likelihood_figures import ELBO, EXACT, NEUTRAL, Estimate, bars

#: The encoder's q, the best q, one's own, one from the prior: as ellipses, paths and bars.
ENCODER, BEST, OWN, PRIOR = "#D55E00", "#009E73", "#E69F00", "#CC79A7"


def gap_bar(elbo: float, best: Estimate, log_p: Estimate, own: float | None = None) -> go.Figure:
    """From the ELBO over the best bound of the family to log p(x): the two parts of the gap.

    Arguments:
        elbo: The ELBO of the encoder's q, in nats.
        best: The ELBO of the best q of its family, and its error.
        log_p: log p(x), and its error.
        own: The ELBO of another q, drawn as a line.

    Returns:
        Bars end to end: ELBO (cut on the left), amortisation gap, approximation gap.

    Example:
        >>> bars = gap_bar(-10.0, (-8.0, 0.0), (-7.5, 0.0)).data
        >>> [float(bar.x[0]) for bar in bars[1:]]
        [2.0, 0.5]
    """
    whole = max(log_p[0] - min(elbo, own if own is not None else elbo), 0.2)
    start = min(elbo, own if own is not None else elbo) - 0.5 * whole
    figure = blank(x_title="nats (the axis is cut on the left)", y_title="", height=200)
    parts = (
        (f"ELBO {elbo:.2f}", start, elbo - start, None, ELBO),
        (f"amortisation gap {best[0] - elbo:.2f}", elbo, best[0] - elbo, best[1], ENCODER),
        (
            f"approximation gap {log_p[0] - best[0]:.2f}",
            best[0],
            log_p[0] - best[0],
            log_p[1],
            BEST,
        ),
    )
    for name, base, length, error, colour in parts:
        figure.add_bar(
            base=[base],
            x=[length],
            y=[""],
            name=name.replace("-", "−"),
            orientation="h",
            marker_color=colour,
            error_x=None if error is None else bars([error], NEUTRAL),
        )
    figure.add_vline(
        log_p[0], line={"color": EXACT, "width": 4}, annotation={"text": "log p(x)", "yshift": 4}
    )
    if own is not None:
        figure.add_vline(own, line={"color": OWN, "width": 4, "dash": "dot"})
    figure.update_layout(barmode="overlay", legend={"traceorder": "normal"})
    figure.update_xaxes(range=[start, log_p[0] + 0.12 * whole])
    figure.update_yaxes(showticklabels=False)
    return figure


def families(names: Sequence[str], gaps: np.ndarray, errors: np.ndarray) -> go.Figure:
    """What the best q of each family leaves open, as bars with errors.

    Example:
        >>> families(["diagonal"], np.array([0.2]), np.array([0.0])).data[0].y
        array([0.2])
    """
    figure = blank(x_title="", y_title="approximation gap (nats)", height=300)
    figure.add_bar(
        x=[f"{name}<br>{gap:.3f}".replace("-", "−") for name, gap in zip(names, gaps, strict=True)],
        y=np.asarray(gaps),
        marker_color=BEST,
        error_y=bars(errors, NEUTRAL),
    )
    return figure


def densities(z: np.ndarray, lines: Mapping[str, tuple[np.ndarray, str]]) -> go.Figure:
    """Densities over the only latent dimension: each by name with its values and colour.

    Example:
        >>> densities(np.zeros(2), {"posterior": (np.ones(2), "#000000")}).data[0].name
        'posterior'
    """
    figure = blank(x_title="z1", y_title="density", height=440)
    for i, (name, (density, colour)) in enumerate(lines.items()):
        figure.add_scatter(
            x=z,
            y=density,
            name=name,
            line={"color": colour, "width": 4},
            fill="tozeroy" if i == 0 else None,
        )
    return figure
