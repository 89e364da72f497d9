"""The figure of "VQ as hard EM": what it draws is what it was given, at every step."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ui import hard_em_figures as figures, hard_em_shapes as shapes
from ui.figures import LABEL_COLOURS
from ui.hard_em_figures import Panel

NOISE = np.random.default_rng(0)
T, N, K = 4, 30, 3
X = NOISE.normal(size=(N, 2))
CENTRES = NOISE.normal(size=(T, K, 2))
CHOSEN = np.tile(np.arange(N) % 2, (T, 1))  # nobody chooses the third
SHARES = NOISE.dirichlet(np.ones(K), size=(T, N))
LEVEL = np.array([-5.0, -4.0, -3.5, -3.4])
HARD = Panel("k-means", CENTRES, CHOSEN, LEVEL, LEVEL + 0.3)
SOFT = Panel("EM", CENTRES, SHARES, LEVEL + 0.5, LEVEL + 0.5, np.array([0.4, 0.3, 0.2, 0.1]))
BOX = np.array([[-2.0, -2.0], [2.0, 2.0]])
IN_A_PANEL = 5


@pytest.fixture(scope="module")
def figure():
    return figures.race(X, [HARD, HARD._replace(name="VQ"), SOFT])


def placed(trace) -> np.ndarray:
    return np.stack([trace.x, trace.y], axis=1)


def test_every_panel_shows_all_data_and_its_centres(figure):
    for i in range(3):
        points, centres = figure.data[i * IN_A_PANEL + 1], figure.data[i * IN_A_PANEL + 4]
        assert placed(points) == pytest.approx(X, abs=1e-6)
        assert placed(centres) == pytest.approx(np.tile(CENTRES[0], (2, 1)), abs=1e-6)  # on white
        assert points.xaxis == f"x{i + 1 if i else ''}"
    titles = [note.text for note in figure.layout.annotations]
    assert [any(name in title for name in ("k-means", "VQ", "EM")) for title in titles] == [
        True
    ] * 3


def test_a_frame_a_step_moves_the_centres_and_colours_of_its_step(figure):
    assert [frame.name for frame in figure.frames] == ["0", "1", "2", "3"]
    for t, frame in enumerate(figure.frames):
        assert len(frame.data) == len(frame.traces) == 3 * IN_A_PANEL + 2
        by_trace = dict(zip(frame.traces, frame.data, strict=True))
        assert placed(by_trace[4])[K:] == pytest.approx(CENTRES[t], abs=1e-6)
        assert by_trace[1].marker.color.tolist() == CHOSEN[t].tolist()
        assert list(by_trace[2 * IN_A_PANEL + 1].marker.color) == shapes.blend(SHARES[t])
        dots = frame.data[-1]
        assert set(dots.x) == {t} and dots.y == (LEVEL[t], LEVEL[t], LEVEL[t] + 0.5)
        assert figure.data[frame.traces[-1]].mode == "markers"


def test_tails_lead_from_the_start_to_the_centre(figure):
    tail = placed(figure.frames[3].data[3])
    pieces = tail.reshape(K, -1, 3 - 1)
    assert np.isnan(pieces[:, -1]).all()
    assert pieces[:, 0] == pytest.approx(CENTRES[0], abs=1e-6)
    assert pieces[:, -2] == pytest.approx(CENTRES[3], abs=1e-6)


def test_a_centre_without_data_looks_different(figure):
    hard, soft = figure.data[4], figure.data[2 * IN_A_PANEL + 4]
    assert list(hard.marker.symbol) == ["x", "x", "circle-x"] * 2
    assert list(soft.marker.symbol) == ["x"] * 2 * K and soft.marker.opacity == 1
    assert list(hard.marker.color) == ["#FFFFFF"] * K + list(LABEL_COLOURS[:K])
    taken = np.where(CHOSEN == 1, 2, CHOSEN)
    later = figures.race(X, [HARD._replace(q=np.concatenate([CHOSEN[:1], taken[1:]]))]).frames
    assert list(later[0].data[4].marker.symbol[:K]) == ["x", "x", "circle-x"]
    assert list(later[1].data[4].marker.symbol[:K]) == ["x", "circle-x", "x"]


def test_curves_are_the_bounds_and_a_likelihood_only_where_it_is_another(figure):
    curves = [trace for trace in figure.data if trace.name]
    assert [trace.name for trace in curves] == [
        "k-means: log p(x) there",
        "k-means: bound F",
        "VQ: log p(x) there",
        "VQ: bound F",
        "EM: bound F = log p(x)",
    ]
    assert curves[0].y.tolist() == (LEVEL + 0.3).tolist() and curves[1].y.tolist() == LEVEL.tolist()
    assert curves[1].fill == "tonexty" and curves[4].fill is None
    low, high = figure.layout.yaxis4.range
    assert low < LEVEL.min() and high > LEVEL.max() + 0.5


def test_a_start_far_below_is_cut_off():
    bound = np.array([-1e6, -4.0, -3.0, -3.0])
    figure = figures.race(X, [HARD._replace(bound=bound, log_likelihood=bound)])
    assert -12 < figure.layout.yaxis2.range[0] < -4


def test_the_slider_and_the_buttons_play_its_frames_without_the_server(figure):
    (slider,), (menu,) = figure.layout.sliders, figure.layout.updatemenus
    assert [list(step.args[0]) for step in slider.steps] == [["0"], ["1"], ["2"], ["3"]]
    assert [button.label for button in menu.buttons] == ["▶ Play", "❚❚ Pause"]
    assert {step.method for step in slider.steps} == {button.method for button in menu.buttons}
    play, pause = (button.args for button in menu.buttons)
    assert play[0] is None and play[1]["fromcurrent"] and play[1]["frame"]["duration"] > 0
    assert list(pause[0]) == [None] and pause[1]["mode"] == "immediate"


def test_panels_are_square_and_hold_everything(figure):
    for i in range(3):
        x, y = (figure.layout[f"{a}axis{i + 1 if i else ''}"] for a in "xy")
        assert y.scaleanchor == f"x{i + 1 if i else ''}"
        assert np.diff(x.range) == pytest.approx(np.diff(y.range))
        places = np.concatenate([X, CENTRES.reshape(-1, 2)])
        assert (places > [x.range[0], y.range[0]]).all()
        assert (places < [x.range[1], y.range[1]]).all()


@pytest.mark.parametrize("k", [2, 3, 7, 10])
def test_borders_are_where_the_two_nearest_centres_are_equally_near(k):
    centres = np.random.default_rng(k).uniform(-2, 2, (k, 2))
    pieces = shapes.borders(centres, BOX).reshape(-1, 3, 2)
    assert len(pieces) and np.isnan(pieces[:, 2]).all()
    for part in (0.01, 0.5, 0.99):
        places = part * pieces[:, 0] + (1 - part) * pieces[:, 1]
        assert (np.abs(places) <= 2 + 1e-9).all()
        near = np.sort(np.linalg.norm(places[:, None] - centres, axis=-1), axis=1)
        assert near[:, 0] == pytest.approx(near[:, 1], abs=1e-9)


def test_every_change_of_cell_crosses_a_border():
    """As much border as a fine grid finds: none is missing."""
    centres = np.random.default_rng(1).uniform(-2, 2, (6, 2))
    nodes = np.linspace(-2, 2, 801)
    grid = np.stack(np.meshgrid(nodes, nodes), axis=-1)
    cells = np.linalg.norm(grid[:, :, None] - centres, axis=-1).argmin(axis=-1)
    pieces = shapes.borders(centres, BOX).reshape(-1, 3, 2)
    extent = np.abs(pieces[:, 0] - pieces[:, 1]).sum(axis=0)  # shadows on the two axes
    crossings = (np.diff(cells, axis=1) != 0).sum(), (np.diff(cells, axis=0) != 0).sum()
    assert extent[::-1] == pytest.approx(np.array(crossings) * 4 / 800, abs=0.1)


@pytest.mark.parametrize("centres", [np.zeros((1, 2)), np.zeros((4, 2)), np.ones((3, 2))])
def test_one_place_has_no_borders(centres):
    assert shapes.borders(centres, BOX).shape == (0, 2)


def test_centres_in_a_row_have_parallel_borders():
    row = np.stack([np.array([-1.0, 0.0, 1.0]), np.zeros(3)], axis=1)
    pieces = shapes.borders(np.concatenate([row, row[:1]]), BOX).reshape(-1, 3, 2)
    assert sorted(pieces[:, 0, 0]) == sorted(pieces[:, 1, 0]) == [-0.5, 0.5]


def test_a_circle_has_the_width_of_its_component():
    circle = shapes.circles(np.array([[1.0, 2.0]]), 0.3)
    assert np.linalg.norm(circle[:-1] - [1, 2], axis=1) == pytest.approx(0.3)
    assert np.isnan(circle[-1]).all()


def test_a_whole_race_is_small_enough_to_send():
    steps, n, k = 41, 500, 10
    centres = NOISE.normal(size=(steps, k, 2))  # never still: the worst case
    level = np.linspace(-5, -3, steps)
    soft = NOISE.dirichlet(np.ones(k), size=(steps, n))
    hard = Panel("k-means", centres, soft.argmax(axis=-1), level, level + 1)
    em = Panel("EM", centres, soft, level, level, np.ones(steps))
    figure = figures.race(NOISE.normal(size=(n, 2)), [hard, hard, em])
    assert len(json.dumps(json.loads(figure.to_json()))) < 3e6
