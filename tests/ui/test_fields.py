"""Fields over the plane: what their greys stand for, and the colours that an analysis gives."""

from __future__ import annotations

import io

import numpy as np
import pytest
import streamlit as st
import torch
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from ui import cache, colours, fields, places, server
from ui.tools.view import View
from vae import aggregate, evaluate, families, latent, metric, results, runs, train
from vae.config import RunConfig
from vae.files import write_tensors
from vae.requests import Evidence


@pytest.fixture
def client() -> TestClient:
    return TestClient(Starlette(routes=server.routes))


def values(client: TestClient, **ask: object) -> tuple[np.ndarray, float]:
    """What the greys of a field stand for, the largest y first, and half the width of a grey."""
    answer = client.get("/api/field", params=ask)
    assert answer.status_code == 200, answer.text
    low, high = (float(part) for part in answer.headers["x-range"].split(","))
    grey = np.asarray(Image.open(io.BytesIO(answer.content))).astype(float)
    return low + grey / 255 * (high - low), (high - low) / 510 + 1e-3


def view(
    run_id: str, axes: str = "0,1", colour: str = "labels", at: np.ndarray | None = None
) -> View:
    run = cache.run(run_id)
    return View(run, "held_out", colour, axes, None, cache.plane(run_id, axes, at), at, None)


@pytest.mark.parametrize(("latent_dim", "axes"), [(2, "0,1"), (5, "3,1"), (5, "pca")])
def test_the_magnification_is_that_of_the_plane(client, trained, latent_dim, axes):
    run_id = trained[latent_dim]
    at = np.linspace(0.5, -0.5, latent_dim) if latent_dim > 2 else None
    through = {} if at is None else {"at": ",".join(map(str, at))}
    ask = {"run": run_id, "name": "magnification", "axes": axes, "radius": 2, **through}
    found, half = values(client, **ask)
    plane, side = cache.plane(run_id, axes, at), np.linspace(-2, 2, fields.SIDE)
    for row, column in ((0, 0), (17, 90), (60, 60), (120, 3)):
        z = torch.from_numpy(plane.to_latent([side[column], side[-1 - row]]))
        exact = metric.log_magnification(cache.model(run_id), z, torch.from_numpy(plane.basis))
        shown = min(max(float(exact), found.min()), found.max())
        assert found[row, column] == pytest.approx(shown, abs=half)


@pytest.mark.parametrize(("latent_dim", "axes"), [(2, "1,0"), (5, "pca")])
def test_the_aggregate_posterior_is_the_mean_of_all_q(client, trained, latent_dim, axes):
    """Against draws from every q, counted in a square of one unit around the middle."""
    run_id = trained[latent_dim]
    ask = {"run": run_id, "name": "aggregate", "axes": axes, "radius": 3}
    found, _ = values(client, **ask)
    run, side = cache.run(run_id), np.linspace(-3, 3, fields.SIDE)
    with torch.no_grad():
        q = run.model.encode(evaluate.examples(run.config))
        z, _ = families.push(q, torch.randn(500, *q.batch_shape, latent_dim))
    p = cache.plane(run_id, axes).project(z.flatten(0, 1).numpy())
    share = (np.abs(p) < 0.5).all(axis=1).mean()
    inside = np.abs(side) < 0.5 + 1e-9  # trapezoids: the pixels on the edge count half
    weight = np.where(np.isclose(np.abs(side), 0.5), 0.5, 1.0)[inside] * (side[1] - side[0])
    mass = weight @ np.exp(found[np.ix_(inside, inside)]) @ weight
    assert share > 0.02 and mass == pytest.approx(share, rel=0.03)


def test_of_a_flow_draws_are_counted(client, runs_folder, monkeypatch):
    monkeypatch.setattr(fields, "DRAWS", 100_000)
    config = RunConfig(dataset="digits", hidden=(16,), family="flow", epochs=1)
    train.train(run_id := runs.create(config))
    found, _ = values(client, run=run_id, name="aggregate", radius=4)
    whole = np.exp(found)[found > found.min()].sum() * (8 / (fields.SIDE - 1)) ** 2
    assert whole == pytest.approx(1, abs=0.1)


def test_of_gaussians_whose_covariances_are_not_kept_draws_are_counted(client, runs_folder):
    """With more dimensions than are kept, how q leans is in the picture all the same."""
    config = RunConfig(dataset="digits", hidden=(16,), family="full", latent_dim=9, epochs=1)
    run_id = runs.create(config)
    train.train(run_id)
    assert cache.points(run_id, "held_out").covariance is None
    asked = fields.Asked(run_id, "aggregate", "held_out", "0,1", None, None, 4.0)
    z = fields._draws(asked, cache.plane(run_id, "0,1"))
    with torch.no_grad():
        q = cache.run(run_id).model.encode(evaluate.examples(cache.run(run_id).config))
    loc, lean = q.mean[:, :2].double().numpy(), q.covariance_matrix[:, :2, :2].double().numpy()
    expected = lean.mean(axis=0) + np.cov(loc.T, bias=True)
    assert np.allclose(np.cov(z.T), expected, atol=0.02 * np.trace(expected))
    side = np.linspace(-4, 4, 5)
    assert np.array_equal(fields._aggregate(asked, side), aggregate.of_draws(z, side))


def test_the_aggregate_of_a_plane_stays_where_it_is_and_says_what_it_is(trained):
    def offer(latent_dim: int, at: np.ndarray | None) -> dict:
        return places.plane_data(view(trained[latent_dim], at=at))["fields"][1]

    plane = offer(5, np.full(5, 0.25))
    assert plane["url"] == offer(5, np.full(5, 0.5))["url"]
    assert "other 3 dimensions integrated out" in plane["note"] and "N(p; 0, I₂)" in plane["note"]
    note, radius = offer(2, None)["note"], cache.extent(trained[2])
    assert f"±{radius / (fields.SIDE - 1):.2g}" in note and "integrated" not in note


@pytest.mark.parametrize(
    "wrong",
    [
        "name=height",
        "name=aggregate&split=validation",
        "name=aggregate&axes=tsne",
        "name=aggregate&axes=0,9",
        "name=magnification&radius=0",
        "name=magnification&radius=nan",
        "name=magnification&at=1,2,3",
        "name=magnification&y=77",
    ],
)
def test_nonsense_gets_one_sentence(client, trained, wrong):
    answer = client.get(f"/api/field?run={trained[2]}&{wrong}")
    assert (
        answer.status_code == 400 and answer.text.endswith(".") and "Traceback" not in answer.text
    )


def test_the_plane_is_offered_fields_that_can_be_fetched(client, trained):
    for run_id, at in ((trained[2], None), (trained[5], np.full(5, 0.25))):
        data = places.plane_data(view(run_id, at=at))
        assert [field["name"] for field in data["fields"]] == list(fields.NAMES)
        for field in data["fields"]:
            answer = client.get(field["url"])
            assert answer.status_code == 200 and field["range"] is None
            low, high = map(float, answer.headers["x-range"].split(","))
            assert low < high and field["note"].endswith(".")
            assert np.asarray(Image.open(io.BytesIO(answer.content))).shape == (fields.SIDE,) * 2


def test_the_prior_density_of_a_plane_counts_what_it_is_away_from_the_middle(trained):
    at = np.array([1.0, 0.5, -2.0, 0.0, 3.0])
    seen = view(trained[5], "1,2", at=at)
    told = places.plane_data(seen)["density"]
    p = seen.where.project(at)
    assert p @ p + told["rest"] == pytest.approx(at @ at) and told["dim"] == 5


@pytest.mark.parametrize(("latent_dim", "axes"), [(2, "0,1"), (5, "2,4"), (5, "pca")])
def test_the_backdrop_decodes_the_nodes_that_the_page_names(client, trained, latent_dim, axes):
    at = np.linspace(-1, 1.2345, latent_dim) if latent_dim > 2 else None
    seen = view(trained[latent_dim], axes, at=at)
    told = places.plane_data(seen)["backdrop"]
    sprite = np.asarray(Image.open(io.BytesIO(client.get(told["url"]).content)))
    x, y = told["xs"], told["ys"]
    assert sprite.shape == (8 * len(y), 8 * len(x)) and np.ptp(np.diff(x)) > 0.01
    near = cache.plane(trained[latent_dim], axes, None if at is None else at.round(3))
    exact = latent.decoded_grid(cache.model(trained[latent_dim]), near, np.array(x), np.array(y))
    assert np.abs(latent.mosaic(exact).astype(int) - sprite).max() <= 1


def keep_gaps(run_id: str, n: int, k: int, gap: float) -> None:
    """An analysis of the first data, of which only the gaps matter here."""
    run, request = runs.load(run_id), Evidence(n=n, k=k)
    names = ("log_evidence_is", "is_se", "elbo", "elbo_se")
    arrays = {name: torch.zeros(n) for name in names} | {names[0]: torch.full((n,), gap)}
    write_tensors(results.home(run_id) / f"{results.key(run, request)}.safetensors", arrays, {})


def test_gaps_colour_the_data_that_have_them(client, trained):
    st.cache_resource.clear()
    run_id = trained[2]
    assert not len(colours.values(run_id, "held_out", "gap"))
    assert len(client.get("/api/points", params={"run": run_id, "colour": "gap"}).content) == 8
    keep_gaps(run_id, 100, 5_000, 1.5)
    keep_gaps(run_id, 200, 100, 2.5)
    np.testing.assert_allclose(colours.values(run_id, "held_out", "gap"), np.full(200, 2.5))
    assert colours.settle(cache.run(run_id), "held_out", "gap") == "gap"
    told = places.plane_data(view(run_id, colour="gap"))["points"]
    assert told["mode"] == "value" and told["range"] == [2.5, 2.5]
    assert told["note"].startswith("The first 200 of 360")
    assert client.get(told["url"]).content[:8] == np.array([200, 4], "<u4").tobytes()
