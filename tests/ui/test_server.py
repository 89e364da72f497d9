"""The /api routes: what they answer, and what they say to nonsense."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from ui import answering, cache, server
from ui.packing import packed
from vae import evaluate, latent, runs


@pytest.fixture
def client() -> TestClient:
    return TestClient(Starlette(routes=server.routes))


def picture(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def test_decode_answers_the_models_own_picture(client, trained):
    model = runs.load(trained[2]).model
    answer = client.get("/api/decode", params={"run": trained[2], "z": "0.5,-1"})
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
    expected = latent.decode_pictures(model, np.array([0.5, -1.0]))
    assert np.array_equal(picture(answer.content), expected)


def test_a_point_of_a_plane_is_decoded_through_the_place_the_plane_goes_through(client, trained):
    model = runs.load(trained[5]).model
    ask = {"run": trained[5], "axes": "1,3", "at": "1,9,2,9,3", "p": "0.5,-1"}
    expected = latent.decode_pictures(model, np.array([1, 0.5, 2, -1, 3]))
    assert np.array_equal(picture(client.get("/api/decode", params=ask).content), expected)


def test_points_are_the_encoders_means_and_covariances(client, trained):
    run = runs.load(trained[2])
    x = evaluate.examples(run.config)
    encoded = latent.encode_set(run.model, x)
    for colour in ("labels", "elbo"):
        ask = {"run": run.id, "colour": colour}
        values, body = (
            cache.values(run.id, "held_out", colour),
            client.get("/api/points", params=ask),
        )
        covariance = np.stack([encoded.scale[:, 0] ** 2, 0 * values, encoded.scale[:, 1] ** 2], 1)
        assert body.content == packed(encoded.loc, covariance, values)
    assert np.array_equal(values, encoded.elbo)


def test_the_sprite_holds_the_nodes_it_says(client, trained):
    model = runs.load(trained[2]).model
    ask = {"run": trained[2], "n": 5, "radius": 2}
    sprite = picture(client.get("/api/sprite", params=ask).content)
    assert sprite.shape == (40, 40)
    top_left = latent.decode_pictures(model, np.array([-2.0, 2.0]))
    assert np.array_equal(sprite[:8, :8], top_left)


def test_a_past_epoch_answers_from_its_snapshot(client, trained):
    ask = {"run": trained[2], "epoch": 1}
    now = client.get("/api/points", params={"run": trained[2]}).content
    then = client.get("/api/points", params=ask).content
    assert len(then) == len(now) and then != now
    assert client.get("/api/sprite", params=ask).status_code == 200
    assert client.get("/api/points", params={**ask, "colour": "elbo"}).status_code == 400


def test_a_picture_does_not_wait_behind_points_that_are_being_computed(client, trained):
    answering.TURNS.acquire()
    answering.TURNS.acquire()
    try:
        ask = {"run": trained[2], "z": "0,0"}
        assert client.get("/api/decode", params=ask).status_code == 200
    finally:
        answering.TURNS.release(2)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("decode?run=no-such-run&z=0,0", 404),
        ("decode?run=../etc&z=0,0", 404),
        ("decode?run={run}&z=0", 400),
        ("decode?run={run}&z=nan,0", 400),
        ("decode?run={run}&z=1e9,0", 400),
        ("decode?run={run}&p=0,0&axes=0,7", 400),
        ("decode?run={run}&p=0,0&axes=pca", 400),
        ("sprite?run={run}&n=1000", 400),
        ("sprite?run={run}&radius=-1", 400),
        ("sprite?run={run}&spacing=odd", 400),
        ("sprite?run={run}&epoch=77", 404),
        ("poster?run={run}&rows=61", 400),
        ("poster?run={run}&rows=0", 400),
        ("poster?run={run}&ground=red", 400),
        ("points?run={run}&first=-1", 400),
        ("decode?run={run}&z=0,0&epoch=77", 404),
        ("points?run={run}&split=validation", 400),
        ("points?run={run}&colour=config", 400),
        ("points?run={run}&epoch=x", 400),
    ],
)
def test_nonsense_gets_one_sentence(client, trained, path, status):
    answer = client.get("/api/" + path.format(run=trained[2]))
    assert answer.status_code == status
    assert answer.text.endswith(".") and "Traceback" not in answer.text


def test_a_past_epoch_is_decoded_by_its_own_weights_where_they_were_kept(client, trained):
    ask = {"run": trained[2], "p": "0.5,-1", "epoch": 1}
    expected = latent.decode_pictures(runs.load(trained[2], 1).model, np.array([0.5, -1.0]))
    assert np.array_equal(picture(client.get("/api/decode", params=ask).content), expected)
    (runs.folder(trained[2]) / "weights" / "00002.safetensors").unlink()
    answer = client.get("/api/decode", params=ask | {"epoch": 2})
    assert answer.status_code == 404 and "Epoch 2" in answer.text


def test_the_first_points_are_those_of_all(client, trained):
    whole = client.get("/api/points", params={"run": trained[2]}).content
    first = client.get("/api/points", params={"run": trained[2], "first": 7}).content
    n = np.frombuffer(whole[:4], "<u4")[0]
    assert np.frombuffer(first[:4], "<u4")[0] == 7 and first[8:36] == whole[8:36]
    assert first[36:64] == whole[8 + 4 * n : 36 + 4 * n]


@pytest.mark.parametrize("ground", ["dark", "light"])
def test_a_poster_holds_rows_by_columns_pictures(client, trained, ground):
    ask = {"run": trained[2], "rows": 2, "columns": 3, "radius": 1, "ground": ground}
    sheet = picture(client.get("/api/poster", params=ask).content)
    assert sheet.shape == (16, 24)
    corner = latent.decode_pictures(runs.load(trained[2]).model, np.array([-1.0, 0.5]))
    assert np.array_equal(sheet[:8, :8], corner if ground == "dark" else 255 - corner)


def test_a_run_without_a_checkpoint_is_said(client):
    from vae.config import RunConfig

    run_id = runs.create(RunConfig(dataset="digits"))
    answer = client.get("/api/decode", params={"run": run_id, "z": "0,0"})
    assert answer.status_code == 404 and "no checkpoint yet" in answer.text


def test_a_traversal_has_a_row_for_each_of_the_busiest_dimensions(client, trained):
    from ui import traversals

    model, at = runs.load(trained[5]).model, np.array([0.5, -1, 0, 2, 1])
    ask = {"run": trained[5], "at": "0.5,-1,0,2,1", "rows": 3}
    sheet = picture(client.get("/api/traversal", params=ask).content)
    assert sheet.shape == (3 * 8, 13 * 8)
    rates = traversals.traits(trained[5])
    for row, column in ((0, 0), (2, 12), (1, 6)):
        z = at.copy()
        z[rates.order[row]] = -3 + 0.5 * column
        cell = sheet[8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
        difference = cell.astype(int) - latent.decode_pictures(model, z)
        assert np.abs(difference).max() <= 1  # a batch adds up in another order


@pytest.mark.parametrize(
    "query", ["at=0,0", "at=0,0,0,0,0&rows=6", "at=0,0,0,0,0&rows=0", "rows=1"]
)
def test_a_traversal_that_makes_no_sense_gets_one_sentence(client, trained, query):
    answer = client.get(f"/api/traversal?run={trained[5]}&{query}")
    assert answer.status_code == 400 and answer.text.endswith(".")
