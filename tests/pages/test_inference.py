"""The Inference page: its numbers are those of quadrature and SVI, whatever one does with q."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from ui import gap_table, jobs
from ui.canvas.pad import pack
from vae import analysis, evaluate, gaps, quadrature, runs, train
from vae.config import RunConfig
from vae.presets import PRESETS
from vae.requests import Gaps

ROOT = Path(__file__).resolve().parents[2]
PAGE = str(ROOT / "pages" / "inference.py")


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Analyses are done before a page opens, or not at all."""
    found: list[str] = []
    monkeypatch.setattr(jobs, "analyse", lambda run_id, request: found.append(request.kind))
    return found


def open_page(**query: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "ui" / "main.py"), default_timeout=60)
    for key, value in query.items():
        app.query_params[key] = value
    app.run()
    app.switch_page(PAGE).run()
    assert not app.exception, app.exception
    assert app.title[0].value == "What does the encoder get wrong?"
    return app


def plane_data(app: AppTest) -> dict:
    """What the plane component was given."""
    protos = [element.proto for element in app.get("bidi_component")]
    return next(data for proto in protos if "backdrop" in (data := json.loads(proto.json or "{}")))


def number(app: AppTest, label: str) -> float:
    """The number of a metric."""
    (found,) = [metric.value for metric in app.metric if metric.label == label]
    return float(found.replace("−", "-"))


def lead(app: AppTest) -> float:
    """By how many nats one's own q beats the encoder's."""
    ahead = any(metric.label == "You beat the encoder by (nats)" for metric in app.metric)
    word = "beat" if ahead else "are behind"
    return (1 if ahead else -1) * number(app, f"You {word} the encoder by (nats)")


def texts(app: AppTest) -> str:
    kinds = (app.markdown, app.caption, app.warning, app.info, app.error)
    return "\n".join(element.value for kind in kinds for element in kind)


def look(app: AppTest, name: str) -> AppTest:
    """Chooses what to do with the datum."""
    app.session_state["look"] = name
    app.run()
    assert not app.exception, app.exception
    return app


def test_the_numbers_are_those_of_the_library_and_add_up(trained):
    app = open_page(run=trained[2], datum="7")
    run = runs.load(trained[2])
    x = evaluate.examples(run.config, n=8)[7:]
    log_p = float(quadrature.evidence(run.model, x).log_evidence[0])
    elbo = float(quadrature.elbo(run.model, x, run.model.encode(x))[0])
    assert number(app, "log p(x)") == pytest.approx(log_p, abs=0.006)
    assert number(app, "ELBO") == pytest.approx(elbo, abs=0.006)
    gaps = [number(app, name) for name in ("Amortisation gap", "Approximation gap")]
    assert min(gaps) >= -0.005
    assert sum(gaps) == pytest.approx(log_p - elbo, abs=0.011)
    shown = plane_data(app)
    assert [e["label"] for e in shown["ellipses"]] == ["encoder's q", "best q of its family"]
    assert shown["heat"]["url"].startswith("/api/posterior?") and shown["marks"]


def test_another_datum_has_another_posterior(trained):
    app = open_page(run=trained[2], datum="7")
    before = number(app, "log p(x)"), plane_data(app)["heat"]["url"]
    app.number_input(key="inference-datum").set_value(8).run()
    assert app.query_params["datum"] in ("8", ["8"])
    assert (number(app, "log p(x)"), plane_data(app)["heat"]["url"]) != before


def test_the_race_ends_at_the_best_bound_and_a_click_adds_a_runner(trained):
    app = look(open_page(run=trained[2], datum="7"), "race")
    race = plane_data(app)["race"]
    encoder, _ = race["tracks"]
    assert encoder["elbo"][0] < encoder["elbo"][-1] <= race["top"] + 1e-3
    assert encoder["elbo"][-1] == pytest.approx(race["cap"], abs=0.02)
    assert len(encoder["frames"]) == len(encoder["elbo"])
    app.query_params["start"] = "0.5,-0.5"
    app.run()
    third = plane_data(app)["race"]["tracks"][2]
    assert third["frames"][0][:2] == pytest.approx([0.5, -0.5])


def test_a_q_of_ones_own_is_judged_against_the_encoders(trained):
    app = look(open_page(run=trained[2], datum="7"), "hands")
    assert lead(app) == pytest.approx(0, abs=0.011)
    handle = plane_data(app)["handle"]
    app.slider(key="hand-x").set_value(app.slider(key="hand-x").value + 0.5).run()
    moved = plane_data(app)["handle"]
    assert moved["p"][0] == pytest.approx(handle["p"][0] + 0.5, abs=0.006)
    run = runs.load(trained[2])
    x = evaluate.examples(run.config, n=8)[7:]
    (xx, xy, yy) = moved["cov"]
    q = torch.distributions.MultivariateNormal(
        torch.tensor([moved["p"]]), torch.tensor([[[xx, xy], [xy, yy]]])
    )
    won = quadrature.elbo(run.model, x, q) - quadrature.elbo(run.model, x, run.model.encode(x))
    assert lead(app) == pytest.approx(float(won[0]), abs=0.02) and abs(lead(app)) > 0.1


def test_with_nothing_seen_the_posterior_is_the_prior(trained):
    app = look(open_page(run=trained[2], datum="7", seen=pack(np.zeros(64))), "erase")
    assert "log p(x seen) = **−0.00" in texts(app) or "log p(x seen) = **0.00" in texts(app)
    assert "observed" in plane_data(app)["heat"]["url"]
    x0, x1, y0, y1 = plane_data(app)["heat"]["extent"]
    assert x0 < -3 and y0 < -3 and x1 > 3 and y1 > 3


def test_a_drawing_is_asked_for_and_then_explained(trained):
    app = look(open_page(run=trained[2]), "draw")
    assert "Draw something" in texts(app)
    drawing = np.zeros((8, 8))
    drawing[2:6, 3] = 1
    app.query_params["drawing"] = pack(drawing)
    app.run()
    assert not app.exception
    assert "drawn" in plane_data(app)["heat"]["url"] and number(app, "log p(x)") < 0


def test_freer_families_leave_less(trained):
    app = look(open_page(run=trained[2], datum="7"), "families")
    (chart,) = [json.loads(c.proto.spec) for c in app.get("plotly_chart")]
    names = [name.split("<br>")[0] for name in chart["data"][0]["x"]]
    assert names == ["diagonal", "full", "flow"]
    assert plane_data(app)["draws"]["points"]


def test_the_table_is_computed_when_asked_and_shown_when_kept(trained, asked, monkeypatch):
    monkeypatch.setattr(gap_table, "SIZES", (5, 100))
    app = open_page(run=trained[2])
    assert asked == []
    app.toggle(key="table").set_value(True).run()
    assert asked == ["gaps"]
    ask = Gaps(n=5, families=("diagonal", "full", "flow"))
    analysis.perform(trained[2], ask.model_dump_json())
    app = open_page(run=trained[2], **{"table-n": "5"})
    assert "Cremer et al. 2018" in texts(app) and "| flow |" in texts(app)


def test_what_an_unfinished_search_does_to_both_gaps_is_said_the_right_way_round(trained):
    run = runs.load(trained[2])
    x = evaluate.examples(run.config, n=6)
    early, late = (gaps.gaps(run.model, x, ["diagonal"], max_steps=m) for m in (1, 200))
    assert not early.converged.all() and late.converged.all()
    # what the warning of ui.gap_table claims of a search that was cut off
    assert (early.approximation[0] > late.approximation[0] - 1e-2).all()
    assert (early.amortization < late.amortization + 1e-2).all()
    assert early.approximation[0].sum() > late.approximation[0].sum()


def test_more_dimensions_are_told_why_and_still_have_their_table(trained):
    app = open_page(run=trained[5])
    assert "5 latent dimensions" in texts(app)
    assert app.toggle(key="table") and not app.metric


@pytest.mark.parametrize(
    "config",
    [
        RunConfig(dataset="digits", hidden=(8,), latent_dim=1, epochs=1),
        RunConfig(
            dataset="pinwheel",
            hidden=(8,),
            likelihood="gaussian",
            binarisation="none",
            epochs=1,
            batch_size=512,
        ),
        PRESETS["digits-linear-2d"].model_copy(update={"epochs": 2}),
    ],
    ids=["one dimension", "points", "linear"],
)
def test_other_kinds_of_run_are_shown_too(config):
    run_id = runs.create(config)
    train.train(run_id)
    app = open_page(run=run_id)
    assert number(app, "Amortisation gap") >= -0.005
    assert np.isfinite(number(app, "log p(x)"))


def test_a_datum_that_is_not_there_is_said_and_the_last_one_shown(trained):
    app = open_page(run=trained[2], datum="99999")
    assert "There is no datum 99999 here: datum 359 is shown instead" in texts(app)
    assert app.number_input(key="inference-datum").value == 359
