"""The chosen place: its densities, the nearest data in a small image, and the way to Inference."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from tests.pages.opening import open_page, plane_data, texts
from ui import cache, places, widgets
from vae import aggregate, latent


def strips(app) -> list[str]:
    bodies = [html.proto.body for html in app.get("html")]
    return [body for body in bodies if 'class="strip"' in body]


def metric(app, label: str) -> str:
    return next(m.value for m in app.metric if m.label.startswith(label))


@pytest.mark.parametrize("latent_dim", [2, 5])
def test_the_density_of_the_data_stands_beside_that_of_the_prior(trained, latent_dim):
    z = np.array([0.3, -0.2, 0, 0, 0])[:latent_dim]
    app = open_page("latent_space", run=trained[latent_dim], z=",".join(map(str, z)))
    shown = cache.points(trained[latent_dim], "held_out")
    value, error = aggregate.log_density(z, shown.loc, shown.scale)
    assert error < 0.5 and metric(app, "log q(z)") == widgets.nats(value, error)


@pytest.mark.parametrize("latent_dim", [2, 5])
def test_a_datum_does_not_count_at_its_own_place(trained, latent_dim):
    shown = cache.points(trained[latent_dim], "held_out")
    z = np.array([float(f"{x:.3f}") for x in shown.loc[3]])
    app = open_page("latent_space", run=trained[latent_dim], z=",".join(map(str, z)), datum="3")
    value, error = aggregate.log_density(
        z, np.delete(shown.loc, 3, 0), np.delete(shown.scale, 3, 0)
    )
    expected = widgets.nats(value, error) if error < 0.5 else f"about {value:.1f}"
    assert metric(app, "log q(z)") == expected.replace("-", "−")
    assert ("cannot be told" in texts(app)) == (error >= 0.5)


def test_far_from_all_data_no_error_is_claimed(trained):
    app = open_page("latent_space", run=trained[2], z="40,0")
    assert re.fullmatch(r"about −\d+\.\d", metric(app, "log q(z)"))


def test_the_nearest_data_are_one_small_image(trained):
    app = open_page("latent_space", run=trained[2], z="1,2")
    (strip,) = strips(app)
    assert len(strip) < 3000
    data = re.search(r"base64,([A-Za-z0-9+/=]+)", strip).group(1)
    row = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("L")).astype(int)
    loc = cache.points(trained[2], "held_out").loc
    near = latent.nearest(loc, np.array([1.0, 2.0]), 6).tolist()
    expected = np.concatenate(cache.thumbnails(trained[2], "held_out", near), axis=1)
    assert row.shape == expected.shape and np.abs(row - expected).max() <= 8  # of sixteen levels


@pytest.mark.parametrize("latent_dim", [2, 5])
def test_a_datum_leads_to_its_posterior_where_that_is_known(trained, latent_dim):
    loc = cache.points(trained[latent_dim], "held_out").loc[3]
    z = ",".join(f"{x:.3f}" for x in loc)
    app = open_page("latent_space", run=trained[latent_dim], z=z, datum="3")
    assert len(strips(app)) == 2 and "Datum 3" in [h.value for h in app.subheader][1]
    links = [link.proto for link in app.get("page_link")]
    found = [link for link in links if link.label == "Its true posterior"]
    assert len(found) == (latent_dim == 2)
    if found:
        query = found[0].query_string
        assert f"run={trained[2]}" in query and "datum=3" in query and "split=held-out" in query


def test_a_place_within_the_plane_leaves_the_decoded_pictures_as_they_are(trained):
    where = cache.plane(trained[5], "pca", np.array([1.0, -0.5, 0.3, 0.2, 0.1]))
    link = [places.written(where.to_latent(np.array(p))) for p in ([0.2, 0.1], [-1.3, 0.7])]
    app = open_page("latent_space", run=trained[5], z=link[0])
    before = plane_data(app)
    app.query_params["z"] = link[1]
    app.run()
    after = plane_data(app)
    assert after["backdrop"] == before["backdrop"] and after["decode"] == before["decode"]
    np.testing.assert_allclose(after["picks"][0]["p"], [-1.3, 0.7], atol=2e-3)
    app.query_params["z"] = "0,0,0,0,2"  # another plane
    app.run()
    assert plane_data(app)["backdrop"]["url"] != before["backdrop"]["url"]
