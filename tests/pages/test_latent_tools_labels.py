"""A conditional run in the app: told a label, it decodes the same places as something else."""

from __future__ import annotations

import io
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from tests.pages.opening import open_page, plane_data, texts
from ui import cache, server
from vae import evaluate, latent, runs, snapshots, train
from vae.config import RunConfig
from vae.presets import PRESETS

CONFIG = RunConfig(
    dataset="digits",
    hidden=(32,),
    epochs=20,
    evaluate_every=20,
    batch_size=64,
    learning_rate=1e-2,
    conditional=True,
)


@pytest.fixture(scope="session")
def _told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small conditional run, trained once."""
    folder = tmp_path_factory.mktemp("told")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAE_RUNS", str(folder))
        train.train(runs.create(CONFIG))
    return folder


@pytest.fixture
def told(_told: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Its id."""
    monkeypatch.setenv("VAE_RUNS", str(_told))
    return runs.ids()[0]


def urls(app: AppTest) -> dict[str, str]:
    found = plane_data(app)
    return {k: found[k]["url"] for k in ("points", "backdrop")} | {"decode": found["decode"]}


def label_control(app: AppTest):
    return [control for control in app.segmented_control if control.key == "y"]


def picture(answer) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def test_another_label_decodes_the_same_places_as_something_else(told):
    app = open_page("latent_space", run=told, z="0.5,-1")
    (control,) = label_control(app)
    assert control.value == "0" and list(control.options) == [str(d) for d in range(10)]
    before = urls(app)
    control.set_value("7").run()
    assert not app.exception
    after = urls(app)
    assert after["points"] == before["points"], "the same points, not fetched again"
    client = TestClient(Starlette(routes=server.routes))
    model, z = runs.load(told).model, np.array([0.5, -1.0])
    for url, label in ((before, 0), (after, 7)):
        for name in ("decode", "backdrop"):
            assert parse_qs(urlsplit(url[name]).query)["y"] == [str(label)]
        expected = latent.decode_pictures(model.given(label), z)
        assert np.array_equal(picture(client.get(f"{url['decode']}&z=0.5,-1")), expected)
    sheets = [picture(client.get(url["backdrop"])).astype(int) for url in (before, after)]
    assert np.abs(sheets[0] - sheets[1]).mean() > 5  # of 255
    assert plane_data(app)["picks"][0]["p"] == [0.5, -1.0], "z stays where it was"


def test_a_label_in_the_link_is_told(told):
    app = open_page("latent_space", run=told, y="3")
    assert label_control(app)[0].value == "3" and "y=3" in urls(app)["decode"]


def test_the_row_shows_one_place_under_every_label(told):
    app = open_page("latent_space", run=told, z="0.5,-1", y="7")
    assert "The same z under every label" in [heading.value for heading in app.subheader]
    row = next(h.proto.body for h in app.get("html") if 'class="strip"' in h.proto.body)
    assert [part.split("<")[0] for part in row.split("<figcaption>")[1:]] == [
        f"y = {d}" for d in range(10)
    ]
    assert "The colours mix" in texts(app) and "No place is chosen" not in texts(app)
    assert "One z = (0.00, 0.00)" in texts(open_page("latent_space", run=told))


def test_a_run_that_is_told_nothing_asks_for_no_label(trained):
    app = open_page("latent_space", run=trained[2], z="0.5,-1", y="7")
    assert not label_control(app) and "y=" not in urls(app)["decode"]
    assert "under every label" not in texts(app)


def test_points_and_data_are_encoded_with_their_own_labels(told):
    model, x = runs.load(told).model, evaluate.examples(CONFIG)
    labels = evaluate.labels_of(CONFIG)
    shown = cache.points(told, "held_out")
    for i in (0, 1, 200):
        q = model.given(int(labels[i])).encode(x[i : i + 1])
        np.testing.assert_allclose(shown.loc[i], q.mean[0], atol=1e-5)
        expected = latent.picture(model.given(int(labels[i])).decode(q.mean))[0]
        datum = cache.datum(told, "held_out", i)
        assert np.array_equal(datum.reconstruction, expected) and datum.label == str(int(labels[i]))


def test_the_routes_answer_with_the_first_label_and_refuse_others(told):
    client = TestClient(Starlette(routes=server.routes))
    ask = {"run": told, "z": "0.5,-1"}
    first = client.get("/api/decode", params=ask).content
    assert first == client.get("/api/decode", params={**ask, "y": "0"}).content
    assert first != client.get("/api/decode", params={**ask, "y": "1"}).content
    for y in ("10", "-1", "x", "", "9" * 5_000):
        answer = client.get("/api/decode", params={**ask, "y": y})
        assert (answer.status_code, answer.text) == (400, "This run has 10 labels, counted from 0.")
    for y in (0, 4):
        grid = client.get("/api/sprite", params={"run": told, "epoch": 20, "y": y}).content
        assert grid == snapshots.read_snapshot(told, 20, y).grid
    ask = {"run": told, "source": "held_out:0", "window": "-1,1,-1,1"}
    answer = client.get("/api/posterior", params=ask)
    assert answer.status_code == 400 and "told labels" in answer.text


@pytest.mark.parametrize("page", ["likelihood", "inference"])
def test_pages_about_log_p_x_say_why_they_are_empty(page, told):
    app = open_page(page, run=told)
    (info,) = app.info
    assert f"python -m vae evaluate {told} --estimator exact" in info.value
    assert "Choose another run" in info.value


def test_the_overview_says_what_the_card_was_told_and_guides_by_another_run(told):
    said = texts(open_page("overview"))
    assert "conditional: told the label (here 0)" in said and "One minute" not in said


def test_training_warns_where_bounds_of_two_kinds_stand_together(trained):
    both = open_page("training", runs=f"{trained[2]},{trained[5]}")
    assert not both.info
    path = runs.folder(trained[2]) / "config.json"
    path.write_text(path.read_text().replace('"conditional": false', '"conditional": true'))
    (info,) = open_page("training", runs=f"{trained[2]},{trained[5]}").info
    assert "log p(x | y)" in info.value


def test_the_form_starts_a_conditional_run(trained):
    app = open_page("overview")
    key = f"form-{PRESETS['mnist-subset-2d'].name}-conditional"
    (box,) = [box for box in app.checkbox if box.key == key]
    assert not box.value
    before = [c.value for c in app.sidebar.caption]
    box.check().run()
    assert not app.exception
    n = 10 * (400 + 400)
    assert any(f"{631_188 + n:,} parameters" in c.value for c in app.sidebar.caption)
    assert any("631,188 parameters" in text for text in before)


def test_what_is_decoded_under_the_label_and_what_is_of_all_labels_is_said(told):
    at = {"run": told, "y": "5", "z": "0.5,-1"}
    app = open_page("latent_space", tool="Directions", **at)
    captions = [image.caption for shown in app.get("image") for image in shown.proto.imgs]
    decoded = [caption for caption in captions if "decoded" in caption]
    assert len(decoded) == 7 and all(caption.endswith(" under y = 5") for caption in decoded)
    assert "all labels together" in plane_data(app)["fields"][1]["note"]
    log_q = next(m for m in open_page("latent_space", **at).metric if "log q" in m.label)
    assert "of all labels, each encoded with its own" in log_q.help
    app = open_page("latent_space", tool="Sample", sampler="the aggregate posterior", **at)
    assert "only those with the label that is told" in texts(app)
    app = open_page("latent_space", tool="Draw", picture="data", **at)
    assert "labels mix here by design" in texts(app) and "too crowded" not in texts(app)
