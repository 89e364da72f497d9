"""Generated data: the same every time, drawn as their factors say, with the stated density."""

from __future__ import annotations

import time

import numpy as np
import pytest

from vae import toys


def one(x=0.0, y=0.0, size=8.0, rotation=0.0, kind=0) -> np.ndarray:
    """The picture of one shape, as numbers from 0 to 1."""
    factors = toys.Factors(*(np.array([value]) for value in (x, y, size, rotation, kind)))
    return toys.draw(factors)[0, 0] / 255


def centroid(picture: np.ndarray) -> tuple[float, float]:
    """Centre of mass in pixels from the middle, y upwards."""
    axis = np.arange(28) - 13.5
    return (picture.sum(0) @ axis / picture.sum(), -(picture.sum(1) @ axis) / picture.sum())


def test_shapes_are_the_same_every_time_and_quick():
    start = time.perf_counter()
    images, factors = toys.shapes(12_000, seed=3)
    assert time.perf_counter() - start < 5  # 0.25 s on a free core
    again, _ = toys.shapes(12_000, seed=3)
    other, _ = toys.shapes(12_000, seed=4)
    assert images.dtype == np.uint8 and images.shape == (12_000, 1, 28, 28)
    assert (images == again).all() and (images != other).any()
    assert set(factors.kind) == {0, 1, 2, 3}
    assert (toys.draw(factors) == images).all()


def test_shapes_stay_inside_the_picture():
    images, _ = toys.shapes(5_000, seed=0)
    border = np.concatenate(
        [images[:, 0, 0], images[:, 0, -1], images[:, 0, :, 0], images[:, 0, :, -1]]
    )
    assert border.max() < 128


@pytest.mark.parametrize("kind", range(len(toys.KINDS)))
def test_position_moves_the_shape(kind):
    still, moved = centroid(one(kind=kind)), centroid(one(x=3.0, y=-2.0, kind=kind))
    assert np.subtract(moved, still) == pytest.approx((3, -2), abs=0.02)


@pytest.mark.parametrize("kind", range(len(toys.KINDS)))
def test_a_period_turns_a_shape_onto_itself_and_half_of_it_does_not(kind):
    period = toys.PERIODS[kind]
    assert np.abs(one(kind=kind) - one(rotation=period, kind=kind)).max() <= 1 / 255
    assert np.abs(one(kind=kind) - one(rotation=period / 2, kind=kind)).max() > 0.5


@pytest.mark.parametrize(
    ("kind", "area"),
    [(0, 2.0), (1, 3 * np.sqrt(3) / 4), (2, 12 / 10), (3, 1 + np.pi / 4)],
    ids=toys.KINDS,
)
def test_antialiasing_keeps_the_area(kind, area):
    # A heart of size 1 is a square with side √2/2 · √2 = 1 and two half discs of radius 1/2.
    assert one(size=8.0, rotation=0.3, kind=kind).sum() == pytest.approx(area * 64, rel=0.02)


@pytest.mark.parametrize("mixture", [toys.GAUSSIAN_MIXTURE, toys.PINWHEEL], ids=["ring", "wheel"])
def test_density_integrates_to_one_and_is_that_of_the_points(mixture):
    axis = np.linspace(-6, 6, 601)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    log_p = toys.log_density(grid, mixture)
    mass = np.exp(log_p) * (axis[1] - axis[0]) ** 2
    assert mass.sum() == pytest.approx(1, abs=1e-6)
    values = toys.log_density(toys.sample(mixture, 20_000, seed=1)[0], mixture)
    expected = (mass * np.maximum(log_p, -700)).sum()
    assert abs(values.mean() - expected) < 4 * values.std() / np.sqrt(len(values))


def test_points_are_the_same_every_time():
    points, component = toys.sample(toys.PINWHEEL, 500, seed=0)
    again, _ = toys.sample(toys.PINWHEEL, 500, seed=0)
    assert points.dtype == np.float32 and points.shape == (500, 2)
    assert (points == again).all() and set(component) == set(range(5))
