"""The replay as a GIF: its frames, its dots where the data are, and its size."""

from __future__ import annotations

import io
import threading

import numpy as np
import pytest
from PIL import Image

from ui import replay_gif
from ui.figures import LABEL_COLOURS
from ui.replay_gif import LEFT, SIDE, TOP, Frame, Scene

NAMES = list("0123456789")


def scene(labels: np.ndarray) -> Scene:
    return Scene("a run", ["z1", "z2"], 4.0, 3.2, labels, NAMES)


def many(n: int, rng: np.random.Generator) -> tuple[Scene, list[Frame]]:
    """n frames of 2,000 data over noisy pictures: as large as a file can become."""
    places = rng.normal(size=(n, 2000, 2))
    sheet = rng.integers(0, 256, (420, 420)).astype(np.uint8)
    words = "epoch {}, held-out ELBO -134.9 nats (standard error 1.1)"
    return scene(rng.integers(0, 10, 2000)), [
        Frame(places[k], sheet, words.format(k)) for k in range(n)
    ]


def read(gif: bytes) -> list[np.ndarray]:
    image = Image.open(io.BytesIO(gif))
    found = []
    for k in range(image.n_frames):
        image.seek(k)
        found.append(np.asarray(image.convert("RGB")).astype(int))
    return found


@pytest.mark.parametrize(("n", "pictures"), [(1, 1), (3, 11), (13, 49), (60, 60)])
def test_it_has_a_picture_for_each_epoch_and_each_step_between_and_repeats(n, pictures):
    rng = np.random.default_rng(0)
    frames = [Frame(rng.normal(size=(5, 2)), None, f"epoch {k}") for k in range(n)]
    image = Image.open(io.BytesIO(replay_gif.replay_gif(scene(np.arange(5)), frames)))
    assert image.n_frames == pictures <= replay_gif.MOST
    assert image.info.get("loop", 0) == 0 and image.size == (480, 528)


def test_a_dot_moves_evenly_from_epoch_to_epoch_in_the_colour_of_its_label():
    frames = [Frame(np.array([[x, 1.0]]), None, f"epoch {x}") for x in (-2.0, 2.0)]
    colour = np.array([int(LABEL_COLOURS[7][i : i + 2], 16) for i in (1, 3, 5)])
    places = []
    for page in read(replay_gif.replay_gif(scene(np.array([7])), frames)):
        inside = page[TOP : TOP + SIDE, LEFT : LEFT + SIDE]
        rows, columns = np.nonzero((inside == colour).all(axis=-1))
        assert rows.mean() == pytest.approx(SIDE / 2 - SIDE / 8, abs=0.51)
        places.append(columns.mean())
    expected = SIDE / 2 + np.linspace(-2, 2, len(places)) * SIDE / 8
    assert np.allclose(places, expected, atol=0.51)


def test_the_manifold_is_that_of_the_nearer_epoch_and_lies_where_it_belongs():
    black, white = (np.full((30, 30), v, np.uint8) for v in (0, 255))
    frames = [  # something must move, or equal pictures become one
        Frame(np.array([[3.0, 3.9]]), white, "epoch 0"),
        Frame(np.array([[3.9, 3.9]]), black, "epoch 1"),
    ]
    pages = read(replay_gif.replay_gif(scene(np.array([0])), frames))
    middle = [page[TOP + SIDE // 2 + 9, LEFT + SIDE // 2 + 9, 0] for page in pages]
    assert [grey < 200 for grey in middle] == [True, True, True, False, False, False]
    edge = round(SIDE / 2 * (1 + 3.2 / 4))
    row = pages[0][TOP + SIDE // 2 + 9, LEFT:, 0]
    assert row[edge - 3] < 200 < row[edge + 3]


def test_the_largest_replay_stays_below_five_megabytes():
    large = replay_gif.replay_gif(*many(60, np.random.default_rng(0)))
    assert len(large) < 5_000_000


def test_threads_draw_the_same():
    made, expected = [], replay_gif.replay_gif(*many(3, np.random.default_rng(1)))

    def draw() -> None:
        made.append(replay_gif.replay_gif(*many(3, np.random.default_rng(1))))

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [expected] * 4


def test_no_frames_and_too_many_are_refused():
    frame = Frame(np.zeros((1, 2)), None, "")
    for n in (0, 61):
        with pytest.raises(ValueError, match="1 to 60"):
            replay_gif.replay_gif(scene(np.array([0])), [frame] * n)


def test_long_names_leave_room_and_many_labels_no_legend():
    long = Scene("a " * 90, ["z1", "z2"], 4.0, 3.0, np.array([0]), ["a label"] * 26)
    assert replay_gif.replay_gif(long, [Frame(np.zeros((1, 2)), None, "epoch 0")])
