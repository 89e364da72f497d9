"""The Likelihood page: the numbers it shows are those of the analyses, whatever the run."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from streamlit.components.v2.bidi_component.main import _make_trigger_id
from streamlit.testing.v1 import AppTest

from ui import evidence, jobs
from ui.datum_view import residual, small
from ui.gap_view import what_the_gaps_say
from ui.likelihood_view import nats, what_the_ladder_says
from ui.set_view import what_the_forms_say
from vae import analysis, results, runs, train
from vae.config import RunConfig
from vae.requests import Annealing, Evidence, History

ROOT = Path(__file__).resolve().parents[2]
ASK = Evidence(n=100, k=500)
TITLE = "How far is the ELBO from log p(x)?"
GREY = {"likelihood": "gaussian", "binarisation": "none"}


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Analyses are done before a page opens, or not at all."""
    found: list[str] = []
    monkeypatch.setattr(jobs, "analyse", lambda run_id, request: found.append(request.kind))
    return found


def perform(run_id: str, request=ASK) -> dict[str, np.ndarray]:
    analysis.perform(run_id, request.model_dump_json())
    return results.read(run_id, request)


@pytest.fixture(scope="session")
def _judged(_trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the two small runs, with what the page asks of them."""
    folder = tmp_path_factory.mktemp("judged")
    shutil.copytree(_trained, folder, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAE_RUNS", str(folder))
        for run_id in runs.ids():
            perform(run_id)
            if runs.read_config(run_id).latent_dim == 2:
                perform(run_id, History())
    return folder


@pytest.fixture
def judged(_judged: Path, trained: dict[int, str], runs_folder: Path) -> dict[int, str]:
    """Ids of the two small runs, by latent dimension, with their results."""
    shutil.copytree(_judged, runs_folder, dirs_exist_ok=True)
    return trained


def open_page(run_id: str, **query: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "ui" / "main.py"), default_timeout=60)
    for key, value in {"run": run_id, "n": "100", "k": "500", **query}.items():
        app.query_params[key] = value
    app.run()
    app.switch_page(str(ROOT / "pages" / "likelihood.py")).run()
    assert not app.exception, app.exception
    assert app.title[0].value == TITLE
    return app


def texts(app: AppTest) -> str:
    kinds = (app.markdown, app.caption, app.warning, app.info, app.error)
    return "\n".join(element.value for kind in kinds for element in kind)


def figure(app: AppTest, key: str) -> list[dict]:
    """The traces of a figure."""
    charts = {c.proto.id: json.loads(c.proto.spec) for c in app.get("plotly_chart")}
    (found,) = [spec for name, spec in charts.items() if name.endswith(f"-{key}")]
    return [decoded(trace) for trace in found["data"]]


def decoded(part):
    """A part of a figure, its typed arrays as lists."""
    if not isinstance(part, dict):
        return part
    if "bdata" in part:
        return np.frombuffer(base64.b64decode(part["bdata"]), part["dtype"]).tolist()
    return {name: decoded(value) for name, value in part.items()}


def test_before_the_result_the_page_stands_and_the_work_is_asked_for(trained, asked):
    app = open_page(trained[2])
    assert asked == ["evidence", "history"]
    assert "What to look for" in texts(app) and "When the bar is full" not in texts(app)
    assert "Does inference lag behind the decoder?" in [s.value for s in app.subheader]


def test_the_table_holds_the_means_and_medians_of_the_arrays(judged):
    arrays = results.read(judged[2], ASK)
    said = texts(open_page(judged[2]))
    for name in ("elbo", "log_evidence_is", "exact"):
        assert nats(evidence.mean(arrays[name])) in said
        assert nats(evidence.median(arrays[name])) in said
    assert nats(evidence.mean(arrays["exact"] - arrays["elbo"])) in said
    assert f"**{(~arrays['trusted']).sum()} of 100**" in said


def test_a_bound_is_never_called_log_p_and_exact_values_are_drawn(judged):
    arrays = results.read(judged[2], ASK)
    app = open_page(judged[2])
    bound, sampled, _, exact = figure(app, "ladder-Mean over the data")
    assert "at least" in sampled["name"] and exact["name"] == "log p(x), exact"
    assert exact["y"][0] == pytest.approx(arrays["exact"].mean())
    assert "IWAE" in bound["name"]
    charts = app.get("plotly_chart")
    assert not any(json.loads(chart.proto.config)["displayModeBar"] for chart in charts)


def test_the_datum_of_largest_gap_is_chosen_and_another_moves_the_numbers(judged):
    arrays = results.read(judged[2], ASK)
    app = open_page(judged[2])
    worst = int(np.argmax(evidence.read(arrays).gap))
    assert app.number_input(key="datum-picked").value == worst

    def bar_of(row: int) -> str:
        return f"log p(x) {arrays['exact'][row]:.2f}".replace("-", "−")

    assert figure(app, "balance")[2]["name"] == bar_of(worst)
    other = (worst + 1) % 100
    app.number_input(key="datum-picked").set_value(other).run()
    assert not app.exception and figure(app, "balance")[2]["name"] == bar_of(other)
    assert app.query_params["datum"] == str(other)


def test_a_datum_of_the_link_is_chosen_and_a_wrong_one_forgotten(judged):
    assert open_page(judged[2], datum="7").number_input(key="datum-picked").value == 7
    assert open_page(judged[2], datum="-4711").number_input(key="datum-picked").value in range(100)


def test_a_click_on_a_point_chooses_its_datum(judged):
    app = open_page(judged[2])
    states = app._tree.get_widget_states()
    click = states.widgets.add()
    (click.id,) = [
        c.proto.id for c in app.get("plotly_chart") if c.proto.id.endswith("-gaps-False")
    ]
    point = {"x": 1, "y": 1, "point_index": 3, "curve_number": 0, "customdata": 42}
    click.string_value = json.dumps(
        {"selection": {"points": [point], "point_indices": [3], "box": [], "lasso": []}}
    )
    app._run(states)
    assert not app.exception and app.number_input(key="datum-picked").value == 42


def test_a_click_on_a_worst_image_opens_it_in_inference(judged):
    worst = int(np.argmax(evidence.read(results.read(judged[2], ASK)).gap))
    app = open_page(judged[2])
    states = app._tree.get_widget_states()
    click = states.widgets.add()
    sheet = next(c.proto for c in app.get("bidi_component") if "worst-0" in c.proto.id)
    click.id = _make_trigger_id(sheet.id, "events")
    cell = {"event": "cell", "value": {"row": 0, "column": 0}}
    click.json_trigger_value = json.dumps([cell])
    app._run(states)
    assert not app.exception and app.title[0].value == "What does the encoder get wrong?"
    assert app.number_input(key="inference-datum").value == worst


def test_what_each_proposal_does_is_told(judged):
    said = texts(open_page(judged[2]))
    for name in ("encoder's q", "q, scales × 1.5", "0.9 q + 0.1 prior", "q refined by SVI"):
        assert f"| {name} |" in said
    assert "left over" in said and "Least noisy here" in said


def test_the_map_takes_its_colours_from_a_control(judged):
    arrays = results.read(judged[2], ASK)
    app = open_page(judged[2])
    gap = np.sort(evidence.read(arrays).gap)
    (points,) = figure(app, "atlas-gap")
    np.testing.assert_allclose(points["marker"]["color"], gap)
    (control,) = [group for group in app.get("segmented_control") if group.key == "atlas"]
    control.set_value("k_hat").run()
    (points,) = figure(app, "atlas-k_hat")
    np.testing.assert_allclose(points["marker"]["color"], np.sort(arrays["pareto_k"]))


def test_the_past_is_drawn_once_it_is_there(judged):
    history = results.read(judged[2], History())
    app = open_page(judged[2])
    lines = {trace["name"]: trace for trace in figure(app, "history-bounds-mean")}
    assert lines["ELBO, held-out"]["y"][-1] == history["held_out_elbo_mean"][-1]
    assert "log p(x), training" in lines
    (control,) = [group for group in app.get("segmented_control") if group.key == "centre"]
    control.set_value("median").run()
    assert not app.exception
    gaps = {trace["name"]: trace for trace in figure(app, "history-lag-median")}
    assert gaps["gap, held-out"]["y"][-1] == history["held_out_gap_median"][-1]
    assert "first 200 held-out and the first 200 training data" in texts(app)


def test_a_sampled_past_says_that_its_gaps_are_bounds_and_how_many_may_be_believed(judged):
    history = perform(judged[5], History())
    said = texts(open_page(judged[5]))
    share = 1 - history["held_out_trusted"][-1]
    assert f"at the last epoch **{share:.0%}** of the held-out values are not" in said


def test_the_rest_of_the_balance_is_judged_by_the_two_sums_alone(judged):
    found = evidence.read(results.read(judged[2], ASK))
    row = int(np.argmax(found.gap))
    error = np.hypot(found.elbo_exact_error[row], found.kl_error[row])
    left = found.exact[row] - found.elbo_exact[row] - found.kl[row]
    said = texts(open_page(judged[2]))
    assert f"**{residual(left)} nats**, ± {small(error)} by" in said
    assert f"its own error, ± {small(found.exact_error[row])}" in said


def test_the_formulas_of_a_flow_are_one_and_others_differ_by_chance(judged):
    found = evidence.read(results.read(judged[2], ASK))
    assert "differ here by chance alone" in what_the_forms_say(found)
    same = found._replace(forms=np.repeat(found.forms[:, :1], 3, axis=1))
    assert "the three formulas are one" in what_the_forms_say(same)


def test_full_triangles_that_fall_short_are_counted(judged):
    found = evidence.read(results.read(judged[2], ASK))
    short = found.sampled.copy()
    short[:3] = found.exact[:3] - 1 - 4 * found.sampled_se[:3]
    hidden = found._replace(sampled=short, trusted=np.ones_like(found.trusted))
    n = int(evidence.falls_short(hidden).sum())
    assert n >= 3 and f"**{n}** full ones" in what_the_gaps_say(hidden)


def test_a_posterior_that_the_grid_did_not_resolve_is_said(judged):
    found = evidence.read(results.read(judged[2], ASK))
    assert "did not resolve" not in what_the_ladder_says(found)
    error = np.where(np.arange(100) < 2, np.inf, found.exact_error)
    said = what_the_ladder_says(found._replace(exact_error=error))
    assert "did not resolve **2** posteriors" in said


def test_a_past_epoch_is_judged_with_its_own_weights(judged):
    epoch = runs.past(judged[2])[1]
    arrays = perform(judged[2], ASK.model_copy(update={"epoch": epoch}))
    app = open_page(judged[2], epoch=str(epoch))
    assert nats(evidence.mean(arrays["exact"])) in texts(app)


def test_more_than_two_dimensions_say_what_stands_in(judged, asked):
    arrays = results.read(judged[5], ASK)
    app = open_page(judged[5])
    said = texts(app)
    assert "No grid can sum over 5 dimensions" in said and "| **log p(x), exact** |" not in said
    assert nats(evidence.mean(arrays["log_evidence_is"])) in said
    assert "annealing" not in asked
    app.toggle(key="ais").set_value(True).run()
    assert asked[-1] == "annealing" and not app.exception


def test_annealing_shows_its_line_and_the_sandwich(judged, monkeypatch):
    small = Annealing(n=4, chains=2, temperatures=20)
    monkeypatch.setattr("vae.requests.Annealing", lambda **fields: small)
    walked = perform(judged[5], small)
    app = open_page(judged[5], ais="true")
    lines = {trace["name"]: trace for trace in figure(app, "annealed")}
    line = lines["AIS: at least this, on average"]
    assert line["y"][0] == pytest.approx(walked["log_evidence"].mean())
    assert nats(evidence.mean(walked["bdmc_upper"] - walked["bdmc_lower"])) in texts(app)
    assert f"**{(~walked['trusted']).sum()} of 4** of its values are not" in texts(app)


@pytest.mark.parametrize(
    "fields",
    [
        {"latent_dim": 1, "hidden": (8,)},
        {"hidden": (8,), "likelihood": "continuous-bernoulli", "binarisation": "none"},
        {"dataset": "pinwheel", "hidden": (8,), **GREY},
        {"body": "linear", "hidden": (), **GREY},
        {"body": "linear", "hidden": (), "latent_dim": 5, **GREY},
        {"family": "full", "hidden": (8,)},
    ],
    ids=["one dimension", "grey", "points", "linear", "linear-5d", "full"],
)
def test_every_kind_of_run_is_judged(fields):
    run_id = runs.create(RunConfig(**{"dataset": "digits", "epochs": 1, **fields}))
    train.train(run_id)
    arrays = perform(run_id)
    said = texts(open_page(run_id))
    assert nats(evidence.mean(arrays["exact"])) in said and "left over" in said


def test_a_run_without_a_checkpoint_is_said():
    run_id = runs.create(RunConfig(dataset="digits"))
    assert "has no checkpoint yet" in texts(open_page(run_id))
