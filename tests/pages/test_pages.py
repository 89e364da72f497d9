"""Every page by AppTest: its title, its charts, and a widget that moves a number the known way."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.pages.opening import PAGES, open_page, plane_data, texts
from vae import latent, runs, train
from vae.config import RunConfig
from vae.presets import PRESETS


@pytest.mark.parametrize("name", [path.stem for path in sorted(PAGES.glob("*.py"))])
def test_every_page_opens_with_a_question_for_a_title(name, trained, coded):
    app = open_page(name)
    assert app.title[0].value.endswith("?")
    assert "What to look for" in texts(app) or name == "overview"


@pytest.mark.parametrize("name", [path.stem for path in sorted(PAGES.glob("*.py"))])
def test_every_page_is_kind_when_there_is_no_run(name):
    app = open_page(name)
    assert "press Train" in texts(app)


def test_overview_shows_a_card_for_each_run(trained):
    app = open_page("overview")
    for run_id in trained.values():
        assert f"small · {run_id}".replace("-", r"\-") in texts(app)


def test_a_place_in_the_link_is_decoded_with_its_prior_density(trained):
    app = open_page("latent_space", run=trained[2], z="1,2")
    expected = -0.5 * 5 - np.log(2 * np.pi)
    assert app.metric[0].value == f"−{-expected:.2f}"
    assert plane_data(app)["picks"] == [{"p": [1.0, 2.0], "label": "A"}]


def test_nearest_data_belong_to_the_place(trained):
    app = open_page("latent_space", run=trained[2], z="1,2")
    from ui import cache

    shown = cache.points(trained[2], "held_out")
    first = latent.nearest(shown.loc, np.array([1.0, 2.0]))[0]
    distance = np.linalg.norm(shown.loc[first] - [1, 2])
    (strip,) = [html.proto.body for html in app.get("html") if 'class="strip"' in html.proto.body]
    caption = strip.split("<figcaption>")[1].split("<")[0]
    assert caption == f"{cache.label_names(trained[2])[shown.labels[first]]} · {distance:.2f}"


@pytest.mark.parametrize("z", ["1", "1,2,3", "a,b", "nan,1", "1e9,0"])
def test_a_wrong_place_in_the_link_is_said_and_forgotten(z, trained):
    app = open_page("latent_space", run=trained[2], z=z)
    assert "no point of this run's 2-dimensional latent space" in texts(app)
    assert plane_data(app)["picks"] == []


def test_an_unknown_run_in_the_link_is_said(trained):
    for name in ("latent_space", "training"):
        key = "run" if name == "latent_space" else "runs"
        assert "There is no run" in texts(open_page(name, **{key: "gone-2d-ffff"}))


def test_more_than_two_dimensions_offer_planes(trained):
    app = open_page("latent_space", run=trained[5])
    (plane,) = [box for box in app.selectbox if box.key == "axes"]
    assert plane.value == "pca" and plane_data(app)["axes"] == ["PC 1", "PC 2"]
    plane.select_index(2).run()
    assert not app.exception and plane_data(app)["axes"] == plane.options[2].split(", ")


def test_training_draws_a_chart_for_each_quantity(trained):
    app = open_page("training", runs=trained[2])
    specs = [json.loads(chart.proto.spec) for chart in app.get("echarts_chart")]
    names = [[series["name"] for series in spec["series"]] for spec in specs]
    assert [f"small · {trained[2]}, held-out", f"small · {trained[2]}, training"] in names
    lines = runs.metrics(trained[2])
    assert specs[0]["series"][0]["data"][-1] == [3, lines[-1]["held_out"]["elbo"]]


def test_the_horizontal_axis_follows_its_control(trained):
    app = open_page("training", runs=trained[2])
    (control,) = [group for group in app.get("segmented_control") if group.key == "x"]
    control.set_value("step").run()
    spec = json.loads(app.get("echarts_chart")[0].proto.spec)
    lines = runs.metrics(trained[2])
    assert spec["series"][0]["data"][-1][0] == lines[-1]["step"]


def test_train_makes_a_queued_run_of_the_preset(no_workers):
    app = open_page("overview")
    app.selectbox(key="preset").select("digits-2d").run()
    app.button(key="train").click().run()
    assert not app.exception
    (run_id,) = no_workers
    assert runs.read_config(run_id) == PRESETS["digits-2d"]
    assert runs.status(run_id).state == "queued"


def test_a_wrong_field_is_named_and_train_waits(no_workers):
    app = open_page("overview")
    form = f"form-{PRESETS['mnist-subset-2d'].name}"
    app.text_input(key=f"{form}-hidden").set_value("400, wide").run()
    assert (
        "hidden takes whole numbers (not 'wide')" in texts(app) and app.button(key="train").disabled
    )
    app.text_input(key=f"{form}-hidden").set_value("8192, 8192, 8192").run()
    assert "parameters and the limit is" in texts(app) and app.button(key="train").disabled
    app.text_input(key=f"{form}-hidden").set_value("64").run()
    assert not app.button(key="train").disabled and not no_workers


def test_no_network_means_the_bundled_data_and_a_sentence(no_workers, monkeypatch):
    from vae import data, downloads

    def refuse(*_: object) -> None:
        raise data.DataError("kmnist cannot be fetched: there is no network.")

    monkeypatch.setattr(downloads, "fetch", refuse)
    app = open_page("overview")
    form = f"form-{PRESETS['mnist-subset-2d'].name}"
    app.selectbox(key=f"{form}-dataset").select("kmnist").run()
    app.button(key="train").click().run()
    assert not app.exception and "bundled MNIST subset" in texts(app)
    assert runs.read_config(no_workers[0]).dataset == "mnist-subset"


def test_delete_and_undo(trained):
    app = open_page("overview")
    app.button(key=f"delete-{trained[2]}").click().run()
    assert trained[2] not in runs.ids()
    app.button(key="undo").click().run()
    assert trained[2] in runs.ids() and not app.exception


def test_undo_puts_a_run_back_on_the_chart(trained):
    app = open_page("training", runs=f"{trained[5]},{trained[2]}")
    app.button(key=f"delete-{trained[2]}").click().run()
    assert app.multiselect[0].value == [trained[5]] and "There is no run" not in texts(app)
    app.button(key="undo").click().run()
    assert app.multiselect[0].value == [trained[5], trained[2]] and not app.exception


def test_stop_and_resume(no_workers):
    run_id = runs.create(RunConfig(dataset="digits"))
    runs.set_status(run_id, "running")
    app = open_page("overview")
    app.button(key=f"stop-{run_id}").click().run()
    assert runs.stop_requested(run_id)
    runs.set_status(run_id, "stopped")
    app.run()
    app.button(key=f"resume-{run_id}").click().run()
    assert no_workers == [run_id] and runs.status(run_id).state == "queued"
    assert not runs.stop_requested(run_id)


def test_a_damaged_checkpoint_is_said_and_the_one_before_is_shown(trained):
    path = runs.folder(trained[2]) / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    app = open_page("latent_space", run=trained[2])
    assert "model.safetensors is damaged" in texts(app) and "instead" in texts(app)


def test_a_run_whose_data_are_not_here_is_said(trained):
    path = runs.folder(trained[2]) / "config.json"
    path.write_text(path.read_text().replace('"digits"', '"kmnist"'))
    assert "kmnist" in texts(open_page("latent_space", run=trained[2]))
    open_page("overview")


def test_another_run_forgets_a_place_that_does_not_fit_it(trained):
    app = open_page("latent_space", run=trained[2], z="1,2")
    app.selectbox(key="run-picked").select(trained[5]).run()
    assert plane_data(app)["picks"] == [] and "no point of this run" not in texts(app)


@pytest.mark.parametrize(
    ("fields", "axis", "said"),
    [
        ({"dataset": "digits", "latent_dim": 1}, "no second dimension", ""),
        (
            {"dataset": "pinwheel", "likelihood": "gaussian", "binarisation": "none"},
            "z2",
            "points in the plane",
        ),
    ],
)
def test_one_dimension_and_points_in_the_plane(fields, axis, said):
    run_id = runs.create(RunConfig(hidden=(8,), epochs=1, **fields))
    train.train(run_id)
    z = ",".join(["0.5"] * runs.read_config(run_id).latent_dim)
    app = open_page("latent_space", run=run_id, z=z)
    assert plane_data(app)["axes"] == ["z1", axis] and said in texts(app)


LINEAR = {"body": "linear", "hidden": (), "likelihood": "gaussian", "binarisation": "none"}


@pytest.mark.parametrize(
    "fields",
    [{"family": "full"}, {"family": "flow"}, {"family": "full", **LINEAR}, LINEAR],
    ids=["full", "flow", "linear-full", "linear-diagonal"],
)
def test_runs_of_every_family_and_linear_ones_open_on_every_page(fields):
    from ui import cache

    config = RunConfig(**{"dataset": "digits", "hidden": (8,), "epochs": 1, **fields})
    run_id = runs.create(config)
    train.train(run_id)
    for path in sorted(PAGES.glob("*.py")):
        app = open_page(path.stem, **{"runs" if path.stem == "training" else "run": run_id})
        assert app.title[0].value.endswith("?") and not app.error
        if path.stem == "latent_space":
            (tools,) = [group for group in app.get("segmented_control") if group.key == "tool"]
            for tool in tools.options:
                tools.set_value(tool).run()
                assert not app.exception and not app.error, tool
    for epoch in (None, 0):
        shown = cache.points(run_id, "held_out", epoch)
        assert (shown.covariance is None) == (config.family == "diagonal")


def test_the_form_makes_a_linear_run_with_a_full_covariance(no_workers):
    app = open_page("overview")
    form = f"form-{PRESETS['mnist-subset-2d'].name}"
    app.selectbox(key=f"{form}-body").select("linear").run()
    assert app.text_input(key=f"{form}-hidden").disabled
    assert "set likelihood to gaussian and binarisation to none" in texts(app)
    app.selectbox(key=f"{form}-likelihood").select("gaussian").run()
    app.selectbox(key=f"{form}-binarisation").select("none").run()
    app.selectbox(key=f"{form}-family").select("full").run()
    app.button(key="train").click().run()
    config = runs.read_config(no_workers[0])
    assert (config.body, config.hidden, config.family) == ("linear", (), "full")


def test_a_name_is_shown_as_it_was_typed_and_fetches_nothing(no_workers):
    runs.create(RunConfig(dataset="digits", name="![x](http://example.org/x.png)"))
    app = open_page("overview")
    assert "![x](http" not in texts(app)
