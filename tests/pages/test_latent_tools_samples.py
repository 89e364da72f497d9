"""The tools Sample, Poster and Replay of the latent page."""

from __future__ import annotations

import io
import json
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from tests.pages.opening import open_page, plane_data, texts
from ui import cache, frames, posters, prints, sampled
from ui.posters import Layout
from ui.tools import poster, replay
from ui.tools.view import View
from vae import data, latent, novelty, runs, sampling, train
from vae.config import RunConfig


def choose(app: AppTest, key: str, option: str) -> AppTest:
    (control,) = [group for group in app.get("segmented_control") if group.key == key]
    control.set_value(option).run()
    assert not app.exception
    return app


def view_of(run_id: str, axes: str = "0,1") -> View:
    run = cache.run(run_id)
    return View(run, "held_out", "labels", axes, None, cache.plane(run_id, axes), None, None)


def captions(app: AppTest) -> list[str]:
    return [image.caption for images in app.get("image") for image in images.proto.imgs]


@pytest.mark.parametrize("source", sampled.SOURCES)
def test_samples_lie_in_the_plane_where_they_were_drawn(source, trained):
    app = choose(open_page("latent_space", run=trained[2], tool="Sample"), "sampler", source)
    found = sampled.samples(trained[2], None, source, 16, 0)
    shown = plane_data(app)
    assert np.allclose(shown["draws"]["points"], found.drawn.z, atol=1e-4)
    assert [mark["label"] for mark in shown["marks"]] == [str(n) for n in range(1, 17)]
    components = 10 if source == "mixture" else 0
    assert len(shown.get("ellipses", [])) == components
    stored = data.load("digits").train
    pixels = 100 * found.near.distance / 8
    assert captions(app)[0].startswith(f"**1** · {pixels[0]:.1f} %")
    model = runs.load(trained[2]).model
    expected = novelty.nearest_data(sampling.means(model, found.drawn.z), stored)
    assert np.array_equal(found.near.index, expected.index)


def test_draw_again_takes_the_next_seed_and_the_link_keeps_it(trained):
    app = open_page("latent_space", run=trained[2], tool="Sample")
    before = plane_data(app)["draws"]["points"]
    (button,) = [b for b in app.button if b.label == "Draw again"]
    button.click().run()
    assert app.query_params["draw"] == ["1"] or app.query_params["draw"] == "1"
    after = plane_data(app)["draws"]["points"]
    assert before != after
    assert np.allclose(after, sampled.samples(trained[2], None, "prior", 16, 1).drawn.z, atol=1e-4)
    again = open_page("latent_space", run=trained[2], tool="Sample", draw="1")
    assert plane_data(again)["draws"]["points"] == after


def test_the_three_sources_are_judged_by_one_number(trained):
    app = open_page("latent_space", run=trained[2], tool="Sample")
    shown = {m.label: m.value for m in app.metric}
    share, error = sampled.outside(trained[2], None)["prior"]
    assert shown["Outside, from the prior"] == f"{100 * share:.1f} ± {100 * error:.1f} %"
    assert len(shown) == 3 and "10 components with full covariances" in texts(app)


def test_the_aggregate_is_judged_without_the_data_its_draws_came_from(trained):
    model, x = cache.model(trained[2]), sampled._training_data(trained[2], None)
    z, own = sampled._draw(trained[2], None, "aggregate", sampled.N_JUDGED, 1)
    n_held_out = len(data.load("digits").held_out)
    new = sampled._some(trained[2], None, "held_out")
    reference = sampling.from_aggregate(model, new, sampled.N_JUDGED, seed=len(sampled.SOURCES)).z
    found = novelty.outside(
        novelty.log_aggregate(model, x, z, without=own),
        novelty.log_aggregate(model, x, reference),
        behind=len(x),
        behind_reference=n_held_out,
    )
    assert sampled.outside(trained[2], None)["aggregate"] == found


def test_the_usual_distance_is_that_of_reconstructions(trained):
    run = runs.load(trained[2])
    x = torch.from_numpy(data.load("digits").held_out[:200]).float() / 255
    with torch.no_grad():
        back = run.model.decode(run.model.encode(x.round()).mean).mean.numpy()
    expected = np.median(novelty.nearest_data(back, data.load("digits").train).distance)
    assert sampled.usual_distance(trained[2]) == pytest.approx(expected, rel=0.02)
    app = open_page("latent_space", run=trained[2], tool="Sample")
    assert f"is {100 * sampled.usual_distance(trained[2]) / 8:.1f} % from its nearest" in texts(app)


def test_a_draw_of_x_is_speckled_and_that_is_said(trained):
    app = choose(open_page("latent_space", run=trained[2], tool="Sample"), "pixels", "draw")
    assert "speckle" in texts(app)
    found = sampled.samples(trained[2], None, "prior", 16, 0)
    assert set(np.unique(found.draws)) == {0, 255} and len(np.unique(found.means)) > 50


@pytest.mark.parametrize(
    "fields",
    [
        {"dataset": "pinwheel", "likelihood": "gaussian", "binarisation": "none"},
        {"dataset": "digits", "latent_dim": 1},
        {"dataset": "digits", "family": "flow"},
        {"dataset": "digits", "conditional": True},
    ],
    ids=["points", "one dimension", "flow", "conditional"],
)
def test_every_kind_of_run_can_be_sampled_printed_and_replayed(fields):
    run_id = runs.create(RunConfig(hidden=(8,), epochs=1, **fields))
    train.train(run_id)
    app = open_page("latent_space", run=run_id, tool="Sample")
    for source in ("aggregate", "mixture"):
        choose(app, "sampler", source)
    assert len(captions(app)) == 16 and not app.error
    choose(app, "tool", "Poster")
    choose(app, "tool", "Replay")
    assert len(plane_data(app)["replay"]["frames"]) == 2 and not app.error


def test_of_a_conditional_run_the_data_of_its_label_are_sampled():
    run_id = runs.create(RunConfig(dataset="digits", hidden=(8,), epochs=1, conditional=True))
    train.train(run_id)
    labels = data.load("digits").train_labels
    assert sampled.training_size(run_id, 3) == (labels == 3).sum()
    told = runs.load(run_id).model.given(3)
    found = sampled.samples(run_id, 3, "prior", 4, 0)
    assert np.array_equal(found.means, latent.decode_pictures(told, found.drawn.z))


def sheet_data(app: AppTest) -> dict:
    """What the sheet was given."""
    sent = [json.loads(element.proto.json or "{}") for element in app.get("bidi_component")]
    return next(found for found in sent if "columns" in found and "alt" in found)


def test_the_poster_has_the_rows_and_columns_asked_for(trained):
    app = open_page("latent_space", run=trained[2], tool="Poster")
    app.number_input(key="columns").set_value(20).run()
    app.number_input(key="rows").set_value(7).run()
    given = sheet_data(app)
    assert (given["rows"], given["columns"]) == (7, 20) and not app.exception
    ask = {name: value[0] for name, value in parse_qs(urlsplit(given["url"]).query).items()}
    assert (ask["rows"], ask["columns"], ask["ground"]) == ("7", "20", "dark")


def test_nodes_have_one_step_both_ways_or_equal_shares():
    x, y = Layout(7, 20, "z", 3.0).nodes()
    assert (x[0], x[-1]) == (-3, 3) and np.allclose(np.diff(y), np.diff(x)[0])
    assert np.allclose(y, -y[::-1])
    x, y = Layout(7, 20, "quantile", 3.0).nodes()
    assert np.array_equal(x, latent.nodes(20, 0, "quantile")) and len(y) == 7
    assert Layout(1, 1, "quantile", 3.0).nodes()[0].tolist() == [0]


def test_the_chosen_place_is_marked_where_a_picture_stands_for_it(trained):
    app = open_page("latent_space", run=trained[2], tool="Poster", z="-3,3")
    assert sheet_data(app)["chosen"] == [0, 0]
    app = open_page("latent_space", run=trained[2], tool="Poster", z="-2.9,3")
    assert sheet_data(app)["chosen"] is None


@pytest.mark.parametrize("ground", ["light", "dark"])
def test_the_poster_holds_the_decoders_pictures(ground, trained):
    view, layout = view_of(trained[2]), Layout(4, 3, "z", 2.0)
    printed = Image.open(io.BytesIO(poster._poster(view, layout, "A4", ground)))
    assert printed.size == (2480, 3508) and round(printed.info["dpi"][0]) == 300
    page = np.asarray(printed)
    if ground == "light":
        page = 255 - page
    pictures = posters.pictures(trained[2], "0,1", None, None, layout)
    model = runs.load(trained[2]).model
    corner = model_pictures(model, [layout.nodes()[0][0], layout.nodes()[1][-1]])
    assert np.array_equal(pictures[0, 0], corner)
    rows, columns = np.nonzero(page > 8)
    assert rows.min() > 50 and columns.min() > 50  # a margin
    # the blocks of the first picture, read back one by one
    whole = prints.poster(np.full_like(pictures, 255), paper="A4", ground="dark", caption="")
    rows, columns = np.nonzero(np.asarray(Image.open(io.BytesIO(whole))))
    top, left = rows.min(), columns.min()
    inside = np.asarray(Image.open(io.BytesIO(whole)))[top, left:]
    tile = int(np.argmin(inside))
    middle = ((np.arange(8) + 0.5) * tile / 8).astype(int)
    assert np.array_equal(page[top + middle[:, None], left + middle], pictures[0, 0])


def model_pictures(model, z):
    return latent.decode_pictures(model, np.array(z))


def test_the_replay_has_a_frame_for_each_epoch_and_the_newest_is_the_model(trained):
    app = open_page("latent_space", run=trained[2], epoch="1")
    (tool,) = [group for group in app.get("segmented_control") if group.key == "tool"]
    assert tool.value == "Replay"  # an old link
    given = plane_data(app)
    played = given["replay"]
    assert [frame["label"] for frame in played["frames"]] == [f"epoch {e}" for e in range(4)]
    assert played["start"] == 1 and "epoch=1" in played["frames"][1]["points"]
    assert "epoch=1" in played["frames"][1]["decode"] and len(
        played["frames"][1]["backdrop"]["xs"]
    ) == len(latent.nodes(15, 3.0))
    assert played["frames"][3]["decode"] == given["decode"]
    assert played["frames"][3]["backdrop"] == given["backdrop"]
    line = runs.metrics(trained[2])[1]["held_out"]
    assert app.metric[0].value.startswith(f"{line['elbo']:.2f}".replace("-", "−"))


def test_an_epoch_without_weights_has_the_mix_only(trained):
    (runs.folder(trained[2]) / "weights" / "00001.safetensors").unlink()
    app = open_page("latent_space", run=trained[2], epoch="1", z="1,2")
    given = plane_data(app)
    assert [bool(frame["decode"]) for frame in given["replay"]["frames"]] == [
        True,
        False,
        True,
        True,
    ]
    assert given["picks"][0]["p"] == [1.0, 2.0]


def test_another_tool_forgets_the_epoch(trained):
    app = open_page("latent_space", run=trained[2], epoch="1")
    choose(app, "tool", "Place")
    assert "epoch" not in app.query_params and "replay" not in plane_data(app)


def test_elbos_of_past_epochs_are_not_known_and_labels_stand_in(trained):
    app = open_page("latent_space", run=trained[2], tool="Replay", colour="ELBO")
    assert "labels are shown" in texts(app)
    assert plane_data(app)["points"]["mode"] == "label"
    app = open_page("latent_space", run=trained[2], tool="Replay", colour="rate")
    assert "colour=rate" in plane_data(app)["replay"]["frames"][0]["points"]


def test_of_more_dimensions_pictures_are_those_of_the_kept_plane(trained):
    kept = cache.snapshot(trained[5], 1).axes
    view = view_of(trained[5], ",".join(map(str, kept)))
    assert frames.has_grid(view, 1)
    other = sorted({0, 1, 2, 3, 4} - set(kept))[:2]
    assert not frames.has_grid(view_of(trained[5], ",".join(map(str, other))), 1)
    at = np.ones(5)
    through = view._replace(where=cache.plane(trained[5], view.axes, at))
    assert not frames.has_grid(through, 1)


def test_an_epoch_newer_than_the_last_snapshot_is_shown_if_its_data_are_the_same(trained):
    (runs.folder(trained[2]) / "snapshots" / "00003.safetensors").unlink()
    assert frames.epochs(cache.run(trained[2])) == [0, 1, 2, 3]
    app = open_page("latent_space", run=trained[2], tool="Replay")
    newest = plane_data(app)["replay"]["frames"][-1]["points"]
    assert "epoch" not in newest.replace("epoch%", "") and "first=360" in newest


def test_one_epoch_cannot_be_replayed(trained):
    for path in (runs.folder(trained[2]) / "snapshots").iterdir():
        path.unlink()
    app = open_page("latent_space", run=trained[2], tool="Replay")
    assert "nothing to replay" in texts(app) and "replay" not in plane_data(app)


def test_the_replay_as_a_file_has_every_epoch(trained):
    gif = Image.open(io.BytesIO(replay._gif(view_of(trained[2]), [0, 1, 2, 3])))
    assert gif.n_frames == 3 * 5 + 1 and gif.info["loop"] == 0
