"""The latent space as a place: sets, planes, grids, pictures."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch.distributions import Independent, Normal

from vae import latent
from vae.config import RunConfig
from vae.evaluate import examples
from vae.model import VAE


def model_of(latent_dim: int = 2, **fields) -> VAE:
    torch.manual_seed(0)
    config = RunConfig(dataset="digits", hidden=(16,), latent_dim=latent_dim, **fields)
    return VAE(config).requires_grad_(False)


@pytest.fixture
def loc() -> np.ndarray:
    random = np.random.default_rng(0)
    return random.normal(size=(200, 4)) @ np.diag([1.0, 5.0, 0.1, 3.0]) + [9.0, 8.0, 7.0, 6.0]


def test_an_encoded_set_says_what_the_encoder_says():
    model, x = model_of(3), examples(RunConfig(dataset="digits"), n=50)
    encoded, q = latent.encode_set(model, x), model.encode(x)
    np.testing.assert_allclose(encoded.loc, q.mean, rtol=1e-6)
    np.testing.assert_allclose(encoded.scale, q.stddev, rtol=1e-6)
    variance = encoded.scale.astype(float) ** 2
    rate = 0.5 * (encoded.loc**2 + variance - 1 - np.log(variance)).sum(1)
    np.testing.assert_allclose(encoded.rate, rate, rtol=1e-4)
    assert encoded.elbo.shape == (50,) and (encoded.elbo < 0).all()


def test_an_encoded_set_is_always_the_same_and_disturbs_no_other_noise():
    model, x = model_of(), examples(RunConfig(dataset="digits"), n=30)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = latent.encode_set(model, x)
    assert torch.equal(torch.rand(3), expected)
    torch.manual_seed(6)
    for one, other in zip(first, latent.encode_set(model, x), strict=True):
        np.testing.assert_array_equal(one, other)
    assert (first.elbo != latent.encode_set(model, x, seed=1).elbo).any()


def test_a_set_is_encoded_the_same_without_its_elbo():
    model, x = model_of(3), examples(RunConfig(dataset="digits"), n=30)
    whole, quick = latent.encode_set(model, x), latent.encode_set(model, x, elbo=False)
    assert np.isnan(quick.elbo).all() and quick.elbo.shape == whole.elbo.shape
    for name in ("loc", "scale", "rate"):
        np.testing.assert_array_equal(getattr(quick, name), getattr(whole, name))


def test_a_set_larger_than_a_tile_keeps_its_order():
    model = model_of()
    x = torch.rand(2_300, 1, 8, 8).round()
    encoded = latent.encode_set(model, x)
    np.testing.assert_allclose(encoded.loc, model.encode(x).mean, atol=1e-6)


def test_a_plane_of_axes_holds_the_others():
    plane = latent.axes_plane(4, 3, 1, np.array([1.0, 2.0, 3.0, 4.0]))
    np.testing.assert_array_equal(plane.to_latent([10.0, 20.0]), [1, 20, 3, 10])
    np.testing.assert_array_equal(plane.to_latent(np.zeros((5, 6, 2))).shape, (5, 6, 4))
    np.testing.assert_array_equal(plane.project([7.0, 8.0, 9.0, 5.0]), [5, 8])


def test_of_one_dimension_the_second_axis_is_idle():
    plane = latent.axes_plane(1, 0, 1)
    np.testing.assert_array_equal(plane.to_latent([[2.0, 9.0]]), [[2.0]])
    np.testing.assert_array_equal(plane.project([[2.0]]), [[2.0, 0.0]])


def test_a_principal_plane_carries_the_most_variance(loc):
    plane = latent.principal_plane(loc)
    np.testing.assert_allclose(plane.basis @ plane.basis.T, np.eye(2), atol=1e-12)
    _, singular, _ = np.linalg.svd(loc - loc.mean(0))
    spread = plane.project(loc).std(axis=0)
    np.testing.assert_allclose(spread, singular[:2] / len(loc) ** 0.5)
    mean = loc.mean(0)
    np.testing.assert_allclose(plane.to_latent(plane.project(mean)), mean, atol=1e-12)
    np.testing.assert_allclose(plane.project(np.zeros(4)), 0, atol=1e-12)  # where the prior is


@pytest.mark.parametrize("principal", [False, True])
def test_a_plane_through_a_point_contains_it_and_projects_onto_itself(loc, principal):
    at = np.array([3.0, -1.0, 2.0, 5.0])
    plane = latent.principal_plane(loc, at) if principal else latent.axes_plane(4, 1, 2, at)
    np.testing.assert_allclose(plane.to_latent(plane.project(at)), at, atol=1e-12)
    points = np.random.default_rng(1).normal(size=(7, 2))
    np.testing.assert_allclose(plane.project(plane.to_latent(points)), points, atol=1e-12)


def test_a_covariance_seen_in_a_plane(loc):
    plane = latent.principal_plane(loc)
    scale = np.random.default_rng(2).uniform(0.1, 2, (5, 4))
    for row, (xx, xy, yy) in zip(scale, plane.covariance(scale), strict=True):
        np.testing.assert_allclose(
            [[xx, xy], [xy, yy]], plane.basis @ np.diag(row**2) @ plane.basis.T, atol=1e-12
        )


def test_nodes_by_z_and_by_quantile():
    np.testing.assert_allclose(latent.nodes(5, 2.0), [-2, -1, 0, 1, 2])
    by_quantile = latent.nodes(9, 2.0, "quantile")
    parts = Normal(torch.tensor(0.0).double(), 1.0).cdf(torch.from_numpy(by_quantile))
    np.testing.assert_allclose(parts, (np.arange(9) + 0.5) / 9)
    np.testing.assert_allclose(by_quantile, -by_quantile[::-1], atol=1e-12)


@pytest.mark.parametrize("n", [-1, 0, 1])
@pytest.mark.parametrize("spacing", ["z", "quantile"])
def test_a_grid_needs_two_nodes(n, spacing):
    with pytest.raises(ValueError, match="at least 2"):
        latent.nodes(n, 2.0, spacing)


def test_pictures_are_the_mean_in_grey():
    model, z = model_of(), np.random.default_rng(0).normal(size=(2, 3, 2))
    pictures = latent.decode_pictures(model, z)
    assert pictures.dtype == np.uint8 and pictures.shape == (2, 3, 8, 8)
    mean = model.decode(torch.as_tensor(z, dtype=torch.float32)).mean[..., 0, :, :]
    np.testing.assert_array_equal(pictures, (255 * mean).round())
    assert latent.decode_pictures(model, [0.0, 0.0]).shape == (8, 8)


def test_pictures_outside_black_and_white_are_clipped():
    wild = Independent(Normal(torch.tensor([[[-3.0, 0.5, 9.0]]]), 1.0), 3)
    np.testing.assert_array_equal(latent.picture(wild), [[0, 128, 255]])


@pytest.mark.parametrize("mean", [(3.0, -1.0), (-2.0, 3.5)])
def test_a_point_in_the_plane_is_pictured_as_its_density(mean):
    p_x = Independent(Normal(torch.tensor([[mean], [(0.0, 0.0)]]), 0.5), 1)
    pictures = latent.picture(p_x)
    assert pictures.shape == (2, 1, 32, 32)
    row, column = np.unravel_index(pictures[0, 0].argmax(), (32, 32))
    side = np.linspace(-4, 4, 32)
    # the brightest node is the one nearest to the mean, with y upwards
    assert abs(side[column] - mean[0]) <= 4 / 31 and abs(side[::-1][row] - mean[1]) <= 4 / 31
    assert pictures[0, 0].max() == 255


def test_a_decoded_grid_reads_like_a_picture(loc):
    model, plane = model_of(4), latent.principal_plane(loc)
    x, y = latent.nodes(4, 2.0), latent.nodes(3, 2.0)
    grid = latent.decoded_grid(model, plane, x, y)
    assert grid.shape == (3, 4, 8, 8)
    for row, height in enumerate(y[::-1]):
        for column, across in enumerate(x):
            alone = latent.decode_pictures(model, plane.to_latent([across, height]))
            # one datum or twelve at once: sums in another order may round to the next grey
            np.testing.assert_allclose(grid[row, column].astype(int), alone, atol=1)


def test_a_mosaic_puts_pictures_side_by_side():
    pictures = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    whole = latent.mosaic(pictures)
    assert whole.shape == (8, 15)
    np.testing.assert_array_equal(whole[4:8, 10:15], pictures[1, 2])
    np.testing.assert_array_equal(whole, np.block([[*row] for row in pictures]))


def test_a_png_keeps_every_grey():
    grey = np.arange(256, dtype=np.uint8).reshape(8, 32)
    with Image.open(io.BytesIO(latent.png(grey)), formats=("PNG",)) as image:
        np.testing.assert_array_equal(np.asarray(image), grey)


def test_a_webp_is_smaller_and_nearly_the_same():
    across, up = np.meshgrid(np.linspace(0, 1, 120), np.linspace(0, 1, 120))
    grey = (255 * (0.5 + 0.5 * np.sin(9 * across) * np.cos(7 * up))).astype(np.uint8)
    small = latent.webp(grey)
    assert len(small) < len(latent.png(grey))
    with Image.open(io.BytesIO(small), formats=("WEBP",)) as image:
        seen = np.asarray(image.convert("L")).astype(int)
    assert seen.shape == grey.shape and np.abs(seen - grey).mean() < 4


def test_nearest_data_come_nearest_first(loc):
    found = latent.nearest(loc, loc[17] + 1e-6, 200)
    assert found[0] == 17 and sorted(found) == list(range(200))
    distance = np.linalg.norm(loc - loc[17], axis=1)[found]
    assert (np.diff(distance) >= -1e-5).all()
