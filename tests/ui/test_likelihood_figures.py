"""The figures of the Likelihood page: what they draw is what they were given."""

from __future__ import annotations

import numpy as np
import pytest

from ui import datum_figures, gap_figures, likelihood_figures as figures

N = 12
INDEX = np.arange(100, 100 + N)
NOISE = np.random.default_rng(0)
GAP = np.abs(NOISE.normal(2.0, 3.0, N))
ERROR = np.full(N, 0.1)
LABELS = np.arange(N) % 3
NAMES = ("zero", "one", "two")
TRUSTED = np.sort(GAP)[-3] > GAP


def names(figure) -> list[str]:
    return [trace.name for trace in figure.data]


def test_the_ladder_shows_bound_sampled_annealed_and_exact_with_their_errors():
    k = np.array([1, 10, 100])
    figure = figures.ladder(
        k,
        np.array([-9.0, -8.0, -7.5]),
        np.array([0.3, 0.2, 0.1]),
        exact=(-7.0, 0.01),
        sampled=(100, -7.5, 0.1),
        annealed=(-7.2, 0.05),
    )
    bound, sampled, _, annealed, band, exact = figure.data
    assert bound.x.tolist() == [1, 10, 100] and bound.error_y.array.tolist() == [0.3, 0.2, 0.1]
    assert sampled.y == (-7.5,) and sampled.marker.symbol == "triangle-up"
    assert "at least" in sampled.name and "at least" in annealed.name
    assert set(annealed.y) == {-7.2} and set(exact.y) == {-7.0}
    assert min(band.y) == pytest.approx(-7.01) and max(band.y) == pytest.approx(-6.99)
    assert figure.layout.xaxis.type == "log"


def test_no_sampled_bound_is_ever_called_log_p():
    one = np.ones(1)
    drawn = figures.ladder(one, one, one, sampled=(9, 1.0, 0.1), annealed=(1.0, 0.1))
    assert not any("log p(x)" in name for name in names(drawn))
    shown = gap_figures.against(
        INDEX, GAP, ERROR, GAP, ERROR, LABELS, NAMES, trusted=TRUSTED, exact=False
    )
    assert "at least" in shown.layout.xaxis.title.text


def test_gaps_are_sorted_by_the_exact_ones_and_what_is_not_trusted_is_hollow_and_counted():
    sampled = GAP - 0.2
    figure = gap_figures.sorted_gaps(INDEX, sampled, ERROR, TRUSTED, GAP, ERROR)
    exact, solid, hollow = figure.data
    assert exact.y.tolist() == sorted(GAP, reverse=True)
    assert exact.x.tolist() == list(range(1, N + 1))
    assert exact.customdata[0] == INDEX[GAP.argmax()]
    assert len(solid.x) + len(hollow.x) == N
    assert sorted(hollow.customdata) == sorted(INDEX[~TRUSTED])
    assert hollow.marker.symbol.endswith("-open") and hollow.name.endswith("(3)")


def test_without_exact_values_the_sampled_ones_order_the_gaps():
    figure = gap_figures.sorted_gaps(INDEX, GAP, ERROR, np.ones(N, bool))
    assert figure.data[0].y.tolist() == sorted(GAP, reverse=True) and len(figure.data[1].x) == 0


def test_a_logarithmic_axis_has_room_for_gaps_of_nothing():
    none = np.zeros(N)
    figure = gap_figures.sorted_gaps(INDEX, none, ERROR, TRUSTED, none, ERROR, logarithmic=True)
    assert figure.layout.yaxis.type == "log" and set(figure.data[0].y) == {gap_figures.FLOOR}


def test_many_points_are_drawn_by_the_graphics_card():
    many = np.arange(gap_figures.MANY + 1.0)
    assert gap_figures.sorted_gaps(many, many, many, many > 1).data[0].type == "scattergl"


def test_elbo_against_log_p_lies_below_the_diagonal_one_colour_a_class():
    log_p = -GAP
    figure = gap_figures.against(
        INDEX, log_p, ERROR, log_p - 1, ERROR, LABELS, NAMES, trusted=TRUSTED, exact=True
    )
    diagonal, *rest = figure.data
    legend, classes = rest[::2], rest[1::2]
    assert diagonal.x == diagonal.y
    assert [entry.name for entry in legend] == [*NAMES, "not to be trusted"]
    assert [entry.marker.symbol for entry in legend] == ["circle"] * 3 + ["circle-open"]
    assert not any(trace.showlegend for trace in classes)
    assert all((trace.y < trace.x).all() for trace in classes)
    assert len({trace.marker.color for trace in classes}) == 3
    symbols = np.concatenate([trace.marker.symbol for trace in classes])
    assert (np.char.endswith(symbols, "open")).sum() == 3


def test_boxes_hold_the_gaps_of_their_class():
    figure = gap_figures.by_class(INDEX, GAP, LABELS, NAMES)
    assert [box.name for box in figure.data] == list(NAMES)
    np.testing.assert_array_equal(figure.data[1].y, GAP[LABELS == 1])


def test_the_ends_of_elbo_and_kl_meet_log_p():
    figure = datum_figures.evidence_bar((-130.0, 0.0), (2.5, 0.0), (-127.5, 0.0))
    ends = {bar.name: bar.base[0] + bar.x[0] for bar in figure.data}
    assert list(ends.values()) == [-130.0, -127.5, -127.5]
    assert "log p(x) −127.50" in ends and figure.data[0].base[0] < -130


def test_a_closed_gap_still_has_bars():
    figure = datum_figures.evidence_bar((-130.0, 0.0), (0.0, 0.0), (-130.0, 0.0))
    low, high = figure.layout.xaxis.range
    assert low < -130 < high


def test_the_weight_lies_where_few_draws_do():
    log_w = np.concatenate([np.full(99, -10.0), [0.0]])
    draws, weight, line = datum_figures.weights(log_w, {"exact": (-4.0, "#000000")}).data
    assert draws.y.sum() == pytest.approx(1) and weight.y.sum() == pytest.approx(1)
    assert draws.y[-1] == pytest.approx(0.01) and weight.y[-1] > 0.99
    assert line.name == "exact" and set(line.x) == {-4.0}


def test_equal_weights_do_not_break_the_histogram():
    figure = datum_figures.weights(np.zeros(5), {})
    assert figure.data[0].y.sum() == pytest.approx(1)


def test_dots_are_hollow_where_they_cannot_be_trusted():
    figure = figures.dots(
        ["q", "wide"],
        np.array([-3.0, -2.0]),
        np.array([0.1, 0.2]),
        trusted=np.array([False, True]),
        line=("exact", -1.9),
    )
    assert figure.data[0].marker.symbol == ("circle-open", "circle")
    assert figure.data[0].error_x.array.tolist() == [0.1, 0.2]
    assert figure.data[1].x == (-1.9, -1.9)
    low, high = figure.layout.xaxis.range
    assert low < -3.1 and high > -1.8


def test_surgery_adds_up_to_the_rate():
    figure = figures.surgery((5.0, 0.1), (1.25, 0.0), np.log(500))
    assert sum(bar.x[0] for bar in figure.data[:2]) == 6.25
    assert figure.data[0].error_x.array == (0.1,)
    assert figure.data[2].x[0] == np.log(500) and figure.layout.barmode == "stack"


def test_bands_surround_their_curve_and_wide_spans_are_logarithmic():
    curve = figures.Line("ELBO", [-3.0, -2.0], [0.5, 0.1], figures.ELBO)
    plain = figures.Line("median", [-3.0, -2.0], None, figures.IS, "dash")
    figure = figures.bands([1, 100], [curve, plain], x_title="epoch", y_title="nats")
    band, line, median = figure.data
    assert band.y.tolist() == [-3.5, -2.1, -1.9, -2.5] and line.y.tolist() == [-3.0, -2.0]
    assert median.line.dash == "dash" and figure.layout.xaxis.type == "log"
    assert figures.bands([0, 100], [plain], x_title="", y_title="").layout.xaxis.type is None


@pytest.mark.parametrize("value", [GAP, np.where(GAP > 3, np.nan, GAP), np.full(N, np.nan)])
def test_the_atlas_draws_every_datum_the_highest_on_top(value):
    figure = gap_figures.atlas(INDEX, np.zeros((N, 2)), value, "gap (nats)", ("z1", "z2"))
    (points,) = figure.data
    assert sorted(points.customdata) == INDEX.tolist()
    if np.isfinite(value).any():
        assert points.customdata[-1] == INDEX[np.nanargmax(value)]
    assert points.marker.cmin < points.marker.cmax


def test_modes_are_counted_in_whole_numbers():
    modes = np.array([1, 1, 3])
    figure = gap_figures.atlas(INDEX[:3], np.zeros((3, 2)), modes, "modes", "ab", counts=True)
    assert figure.data[0].marker.colorbar.dtick == 1 and figure.data[0].marker.cmax == 3
