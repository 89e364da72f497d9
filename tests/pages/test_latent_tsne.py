"""The t-SNE plane: waited for, shown with what it keeps, and never taken for a plane."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import streamlit as st
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from tests.pages.opening import open_page, plane_data, texts
from tests.pages.test_latent_tools_labels import picture
from ui import cache, layouts, server
from vae import analysis, latent, results, runs
from vae.requests import Embedding

TSNE = "neighbours (t-SNE)"
ASK = Embedding(n=80)


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    """Other tests lay out the same run otherwise, and the server would remember."""
    st.cache_resource.clear()
    yield
    st.cache_resource.clear()


@pytest.fixture(scope="session")
def _laid_out(_trained, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """The t-SNE of 80 means of the small run, computed once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAE_RUNS", str(_trained))
        patch.setenv("VAE_DATA", str(tmp_path_factory.getbasetemp() / "data"))
        run = next(r for r in map(runs.load, runs.ids()) if r.config.latent_dim == 5)
        analysis.perform(run.id, ASK.model_dump_json())
        found = results.read(run.id, ASK)
        results.home(run.id).joinpath(f"{results.key(run, ASK)}.safetensors").unlink()
    return found


@pytest.fixture
def laid_out(trained, _laid_out, monkeypatch: pytest.MonkeyPatch) -> str:
    """The run, with its t-SNE there."""
    monkeypatch.setattr(layouts, "ASK", ASK)
    monkeypatch.setattr(layouts, "SHOWN", ASK.n)
    monkeypatch.setattr(layouts, "kept", lambda run: _laid_out)
    monkeypatch.setattr("ui.analyses.ask", lambda run_id, request, what: _laid_out)
    return trained[5]


def opened(run_id: str, **query: str) -> AppTest:
    return open_page("latent_space", run=run_id, axes=TSNE, **query)


def decoded(app: AppTest, p: list[float]) -> np.ndarray:
    client = TestClient(Starlette(routes=server.routes))
    return picture(client.get(f"{plane_data(app)['decode']}&p={p[0]},{p[1]}"))


def test_the_principal_axes_stand_in_until_it_is_there(trained):
    app = opened(trained[5])
    assert plane_data(app)["axes"] == ["PC 1", "PC 2"]
    assert "Until the t-SNE is there" in texts(app)


def test_a_run_of_two_dimensions_offers_none(trained):
    app = opened(trained[2])
    assert not [box for box in app.selectbox if box.key == "axes"]
    assert plane_data(app)["axes"] == ["z1", "z2"]


def test_it_is_told_apart_from_a_plane(laid_out, _laid_out):
    app = opened(laid_out)
    data = plane_data(app)
    assert data["axes"] == ["t-SNE 1", "t-SNE 2"] and data["backdrop"] is None
    assert (data["prior"], data["unit"], data["density"], data["fields"]) == (False, "", None, [])
    x0, x1, y0, y1 = data["view"]
    low, high = _laid_out["at"].min(0), _laid_out["at"].max(0)
    assert x0 < low[0] and y0 < low[1] and x1 > high[0] and y1 > high[1]
    assert data["points"]["note"].startswith("The first 80 of ")
    said = texts(app)
    for layout in (0, 1):
        kept, error = (100 * _laid_out[name][layout] for name in ("kept", "kept_se"))
        assert f"{kept:.1f} ± {error:.1f} %" in said
    assert f"by chance {100 * 10 / 79:.1f} %" in said and "about 27 neighbours" not in said
    assert "Far outside the circles" not in said


def test_the_view_of_another_plane_is_forgotten(laid_out):
    app = open_page("latent_space", run=laid_out, view="-1.00,1.00,-1.00,1.00")
    assert plane_data(app)["view"] == [-1, 1, -1, 1]
    app.selectbox(key="axes").set_value("tsne").run()
    assert plane_data(app)["axes"][0] == "t-SNE 1" and plane_data(app)["view"][0] < -1
    assert "view" not in app.query_params


def test_a_place_stands_for_the_nearest_datum_and_a_for_itself(laid_out, _laid_out):
    run = runs.load(laid_out)
    loc, at = cache.points(laid_out, "held_out").loc, _laid_out["at"]
    app = opened(laid_out)
    assert "nearest datum" in plane_data(app)["decoded"]
    expected = latent.decode_pictures(run.model, loc[7])
    assert np.array_equal(decoded(app, (at[7] + 1e-3).tolist()), expected)
    own = np.array([0.5, -2.0, 0.25, 1.0, 0.0])
    app = opened(laid_out, z=",".join(map(str, own)))
    (pick,) = plane_data(app)["picks"]
    assert plane_data(app)["decoded"] == ""
    assert np.array_equal(decoded(app, pick["p"]), latent.decode_pictures(run.model, own))


def test_points_are_the_layout_and_training_data_are_placed_in_it(laid_out, _laid_out):
    np.testing.assert_allclose(cache.seen(laid_out, "held_out", "tsne"), _laid_out["at"], atol=1e-5)
    placed = cache.seen(laid_out, "train", "tsne")
    assert placed.shape == (80, 2)
    low, high = _laid_out["at"].min(0), _laid_out["at"].max(0)
    assert ((placed > low - np.ptp(low)) & (placed < high + np.ptp(high))).all()
    client = TestClient(Starlette(routes=server.routes))
    ask = {"run": laid_out, "axes": "tsne"}
    body = client.get("/api/points", params=ask).content
    assert np.frombuffer(body[:4], "<u4")[0] == 80
    x = np.frombuffer(body[8 : 8 + 4 * 80], "<f4")
    np.testing.assert_allclose(x, _laid_out["at"][:, 0], atol=1e-5)
    for path in ("sprite?n=5", "field?name=aggregate", "points?epoch=1"):
        answer = client.get(f"/api/{path}&run={laid_out}&axes=tsne")
        assert answer.status_code == 400, path


@pytest.mark.parametrize(
    "tool",
    ["Place", "Draw", "Path", "Directions", "Dimensions", "Sample", "Poster", "Replay"],
)
def test_every_tool_works_in_it(laid_out, tool):
    app = opened(laid_out, tool=tool, z="1,0,0,0,0", to="0,0,0,0,1")
    assert not app.exception and plane_data(app)["axes"][0] == "t-SNE 1"


def test_without_it_the_routes_say_so(trained):
    client = TestClient(Starlette(routes=server.routes))
    answer = client.get("/api/points", params={"run": trained[5], "axes": "tsne"})
    assert answer.status_code == 404 and "choose it as the plane" in answer.text
