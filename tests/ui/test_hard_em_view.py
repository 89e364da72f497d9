"""The section "VQ as hard EM": it draws, it follows its controls, and it says what goes wrong."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from ui.codebook import hard_em


def script() -> None:
    from ui.codebook import hard_em as section

    section.show()


@pytest.fixture
def app() -> AppTest:
    return opened()


def opened(**query: str) -> AppTest:
    app = AppTest.from_function(script, default_timeout=120)  # a busy machine is slow, not wrong
    for key, value in query.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception, app.exception
    return app


def curves(app: AppTest) -> dict[str, np.ndarray]:
    """The curves under the panels, by name."""
    (chart,) = app.get("plotly_chart")
    traces = json.loads(chart.proto.spec)["data"]
    return {trace["name"]: array(trace["y"]) for trace in traces if trace.get("name")}


def array(values) -> np.ndarray:
    """Numbers as plotly writes them: a list, or base64."""
    if isinstance(values, dict):
        return np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"])
    return np.array(values)


def warnings(app: AppTest) -> str:
    return "\n".join(warning.value for warning in app.warning)


def test_it_draws_the_three_and_ties_them_together(app):
    assert "EM?" in app.subheader[0].value
    assert list(curves(app)) == [
        "k-means: log p(x) there",
        "k-means: bound F",
        "VQ: log p(x) there",
        "VQ: bound F",
        "EM: bound F = log p(x)",
    ]
    assert not app.warning
    table = next(m.value for m in app.markdown if m.value.startswith("| "))
    for row in (
        "q(k)",
        "E-step",
        "M-step",
        "Step size",
        f"F after {hard_em.STEPS} steps",
        "Gap that stays",
    ):
        assert f"**{row}" in table
    assert "What to look for" in app.caption[0].value
    assert "Neal & Hinton" in app.markdown[-1].value


def test_without_decay_vq_is_kmeans_and_with_it_vq_is_slower(app):
    slow = curves(app)
    assert (slow["VQ: bound F"][1:10] < slow["k-means: bound F"][1:10]).all()
    app.slider(key="em-decay").set_value(0.0).run()
    fast = curves(app)
    assert fast["VQ: bound F"] == pytest.approx(fast["k-means: bound F"], abs=1e-5)
    assert fast["k-means: bound F"].tolist() == slow["k-means: bound F"].tolist()
    assert "**VQ is k-means**" in app.caption[0].value


def test_bounds_on_all_points_never_fall_and_lie_below_their_likelihood(app):
    found = curves(app)
    for name in ("k-means: bound F", "VQ: bound F", "EM: bound F = log p(x)"):
        assert (np.diff(found[name]) >= -1e-5).all()  # the smoothing of VQ moves codes a little
    for name in ("k-means", "VQ"):
        assert (found[f"{name}: bound F"] <= found[f"{name}: log p(x) there"]).all()


def test_the_gap_closes_with_the_width(app):
    def gap() -> float:
        found = curves(app)
        return float((found["k-means: log p(x) there"] - found["k-means: bound F"])[-1])

    wide = gap()
    app.slider(key="em-sigma").set_value(0.05).run()
    assert not app.exception
    assert 0 <= gap() < 0.1 * wide


def test_small_batches_make_vq_alone_noisy(app):
    before = curves(app)
    app.select_slider(key="em-batch").set_value(8).run()
    after = curves(app)
    assert (np.diff(after["VQ: bound F"]) < 0).any()
    assert after["k-means: bound F"].tolist() == before["k-means: bound F"].tolist()
    assert "another batch" in app.caption[0].value


def test_em_may_learn_its_width(app):
    app.toggle(key="em-learn").set_value(True).run()
    assert not app.exception
    assert "EM has learnt a width of" in app.caption[0].value
    assert "σ ←" in next(m.value for m in app.markdown if m.value.startswith("| "))


def test_a_link_keeps_what_was_asked():
    app = opened(**{"em-k": "3", "em-decay": "0.5", "em-n": "50", "em-data": "five bent arms"})
    assert app.slider(key="em-k").value == 3 and app.slider(key="em-decay").value == 0.5
    assert app.select_slider(key="em-n").value == 50
    assert app.selectbox(key="em-data").value == "pinwheel"


def test_more_centres_than_points_is_one_sentence():
    app = opened(**{"em-n": "8", "em-k": "10"})
    assert "10 centres are more than the 8 points" in warnings(app)
    assert not app.get("plotly_chart")


def test_a_start_in_one_place_is_one_sentence(app):
    app.selectbox(key="em-start").set_value("same").run()
    assert not app.exception
    assert len(app.warning) == 1 and "start in one place" in warnings(app)
    app.slider(key="em-k").set_value(1).run()
    assert not app.warning  # a single centre cannot be elsewhere


def test_dead_codes_are_one_sentence(app):
    app.selectbox(key="em-start").set_value("corner").run()
    assert not app.exception
    assert len(app.warning) == 1 and f"hold no point after {hard_em.STEPS} steps" in warnings(app)
