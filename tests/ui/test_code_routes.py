"""The /api/vq routes: what they answer, and what they say to nonsense."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from ui import code_plane, codes, server
from vae import evaluate, latent, runs


@pytest.fixture
def client() -> TestClient:
    return TestClient(Starlette(routes=server.routes))


def picture(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def test_an_edited_map_is_decoded_with_its_bound(client, coded):
    run = runs.load(coded[1])
    x = evaluate.examples(run.config, n=8)[7:]
    ask = {"run": run.id, "index": 7, "codes": "3,1,0,15"}
    answer = client.get("/api/vq/decode", params=ask)
    edited = torch.tensor([[[[3, 1], [0, 15]]]])
    expected = latent.picture(run.model.decode(edited))[0]
    assert np.array_equal(picture(answer.content), expected)
    bound = run.model.bound(x, edited)
    found = [float(answer.headers[name]) for name in ("x-log-likelihood", "x-log-prior")]
    expected = [-bound.distortion.item(), -bound.rate.item()]
    assert found == pytest.approx(expected, abs=1e-3)  # three digits are sent


def test_distances_are_least_at_the_codes_that_were_chosen(client, coded):
    for levels, run_id in coded.items():
        body = client.get("/api/vq/distances", params={"run": run_id, "index": 3}).content
        far = np.frombuffer(body, "<f4").reshape(levels, 2, 2, 16)
        assert np.array_equal(far.argmin(-1), codes.mapped(run_id, "held_out", 3).codes)


def test_the_palette_is_a_square_of_patches(client, coded):
    answer = client.get("/api/vq/palette", params={"run": coded[2], "level": 1})
    tiles = codes.patches(coded[2], 1)
    assert tiles.shape == (16, 8, 8)  # a fully connected decoder: whole pictures
    assert np.array_equal(picture(answer.content)[8:16, :8], tiles[4])


def test_points_lie_where_the_encoder_puts_them(client, coded):
    body = client.get("/api/vq/points", params={"run": coded[1]}).content
    n = int(np.frombuffer(body, "<u4", 1)[0])
    x, y = np.frombuffer(body, "<f4", 2 * n, 8).reshape(2, n)
    run = runs.load(coded[1])
    with torch.no_grad():
        z = run.model.latents(evaluate.examples(run.config)[:1])[0, 0, 0].numpy()
    assert [x[0], y[0]] == pytest.approx(z.tolist(), abs=1e-6)
    then = client.get("/api/vq/points", params={"run": coded[1], "epoch": 1})
    assert then.status_code == 200 and then.content != body


def test_the_ground_decodes_places_everywhere_in_the_map(client, coded):
    ground = picture(client.get("/api/vq/ground", params={"run": coded[1]}).content)
    xs, ys = code_plane.nodes(coded[1])
    place = client.get("/api/vq/place", params={"run": coded[1], "p": f"{xs[0]},{ys[-1]}"})
    assert np.array_equal(ground[:8, :8], picture(place.content))


def test_maps_are_coloured_alike_where_vectors_are_codes(client, coded):
    for which in ("encoder", "quantised"):
        answer = client.get("/api/vq/map", params={"run": coded[1], "which": which})
        assert picture(answer.content).shape == (2, 2, 3)
    assert len(set(codes.colours(coded[1], 0))) > 8


@pytest.mark.parametrize(
    ("route", "ask", "said"),
    [
        ("decode", {"codes": "1,2,3"}, "has 4 codes"),
        ("decode", {"codes": "1,2,3,x"}, "has 4 codes"),
        ("decode", {"codes": "1,2,3,16"}, "has 16 codes"),
        ("decode", {"codes": "1,2,3,4", "index": "999999"}, "data, counted from 0"),
        ("distances", {"index": "-1"}, "whole number"),
        ("distances", {"split": "all"}, "Expected one of"),
        ("palette", {"level": "1"}, "has 1 levels"),
        ("place", {"p": "1"}, "Expected 2 numbers"),
        ("points", {"epoch": "x"}, "whole number"),
        ("map", {"which": "other"}, "Expected one of"),
    ],
)
def test_nonsense_is_answered_in_a_sentence(client, coded, route, ask, said):
    answer = client.get(f"/api/vq/{route}", params={"run": coded[1], **ask})
    assert answer.status_code == 400 and said in answer.text


def test_a_plane_that_leaves_dimensions_out_is_not_decoded(client, coded):
    for route in ("ground", "place"):
        answer = client.get(f"/api/vq/{route}", params={"run": coded[2], "p": "0,0"})
        assert answer.status_code == 400 and "two of more dimensions" in answer.text


def test_each_kind_of_run_is_told_of_its_own_page(client, coded, trained):
    answer = client.get("/api/vq/palette", params={"run": trained[2]})
    assert answer.status_code == 404 and "has no codebook" in answer.text
    for route in ("points", "sprite", "decode"):
        answer = client.get(f"/api/{route}", params={"run": coded[1], "z": "0,0"})
        assert answer.status_code == 404 and "Codebook page" in answer.text


def test_a_patch_at_the_edge_is_black_beyond_it():
    shown = codes.cut(np.full((8, 8), 9, np.uint8), 2, 0, 1)
    assert shown.shape == (12, 12) and not shown[:4].any() and not shown[:, 8:].any()
    assert (shown[4:, :8] == 9).all()


def test_left_over_is_what_the_levels_before_leave(coded):
    run = runs.load(coded[2])
    with torch.no_grad():
        z = run.model.latents(evaluate.examples(run.config, n=5))
        first = run.model.vectors(run.model.encode(evaluate.examples(run.config, n=5))[:, :1])
    left = code_plane.left_over(z.flatten(0, 2).numpy(), run.model.quantiser.codebook[:1].numpy())
    assert left == pytest.approx((z - first).flatten(0, 2).numpy(), abs=1e-6)
    assert math.isfinite(left.sum())
