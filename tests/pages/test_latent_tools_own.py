"""A picture of one's own: where the plane is told that it lands, and what is said of it."""

from __future__ import annotations

import io
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from streamlit.testing.v1 import AppTest

from tests.pages.opening import open_page, plane_data, texts
from ui import own_usual
from ui.canvas.sketch import Drawing
from vae import analysis, bounds, evaluate, families, latent, preparation, runs, train
from vae.config import RunConfig
from vae.walks import walk


def seven() -> np.ndarray:
    """White on black, 112 × 112: a seven."""
    board = Image.new("L", (112, 112))
    ImageDraw.Draw(board).line([(30, 25), (80, 25), (50, 95)], 255, 10, joint="curve")
    return np.asarray(board)


def open_tool(run_id: str, drawn: np.ndarray | None = None, **query: str) -> AppTest:
    """The page with the tool open, and maybe something on the board."""
    app = open_page("latent_space", run=run_id, tool="Draw", **query)
    if drawn is not None:
        app.session_state["own-drawing"] = Drawing(0, 1, latent.png(drawn))
        app.run()
        assert not app.exception, app.exception
    return app


def seen(run_id: str, drawn: np.ndarray) -> torch.Tensor:
    """What the model of a run sees of a drawing, made without the app: (1, *event)."""
    config = runs.read_config(run_id)
    grey = torch.from_numpy(preparation.as_datum(drawn, config.dataset))[None]
    seed = torch.Generator().manual_seed(evaluate.BINARISATION_SEED)
    return evaluate.present(grey, config.binarisation, seed)


def encoded(
    run_id: str, x: torch.Tensor, label: int | None = None
) -> torch.distributions.Distribution:
    """The encoder's q."""
    model = runs.load(run_id).model
    with torch.no_grad():
        return (model if label is None else model.given(label)).encode(x)


def press(app: AppTest, label: str) -> AppTest:
    """Presses a button."""
    (found,) = [b for b in app.button if b.label == label]
    found.click().run()
    assert not app.exception, app.exception
    return app


def choose_tool(app: AppTest, name: str) -> None:
    """Goes to another tool."""
    (tool,) = [group for group in app.get("segmented_control") if group.key == "tool"]
    tool.set_value(name).run()
    assert not app.exception, app.exception


def component(app: AppTest, field: str) -> dict:
    """What the component with this field was given."""
    protos = [element.proto for element in app.get("bidi_component")]
    return next(data for proto in protos if field in (data := json.loads(proto.json or "{}")))


def png(grey: np.ndarray) -> bytes:
    return latent.png(grey)


def test_before_anything_is_drawn_it_says_what_to_do(trained):
    app = open_tool(trained[2])
    assert "ellipses" not in plane_data(app) and "Draw a digit" in texts(app)
    assert component(app, "heard") | {"alt": ""} == {"picture": "", "of": 0, "heard": 0, "alt": ""}


def test_a_drawing_lands_where_the_encoder_puts_it(trained):
    app = open_tool(trained[2], seven())
    x = seen(trained[2], seven())
    q = encoded(trained[2], x)
    (ellipse,) = plane_data(app)["ellipses"]
    np.testing.assert_allclose(ellipse["p"], q.mean[0], atol=1e-4)
    np.testing.assert_allclose(ellipse["cov"], [q.variance[0, 0], 0, q.variance[0, 1]], rtol=1e-5)
    assert plane_data(app)["marks"][0] | {"p": 0} == {"p": 0, "label": "yours", "shape": "cross"}
    model = runs.load(trained[2]).model
    elbo, rate = (app.metric[k].value.replace("−", "-") for k in (0, 1))
    assert rate == f"{bounds.rate(q, model.prior()).item():.1f}"
    with torch.no_grad():
        log_w = model.log_weights(x, 20_000)[:, 0]
    value, error = (float(part) for part in elbo.split("\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}"))
    assert abs(value - log_w.mean().item()) < 4 * log_w.std().item() / 16 + 0.05
    assert error == pytest.approx(
        model.decode(q.rsample((4000,))).log_prob(x).std().item() / 16, abs=0.1
    )
    assert "white with probability grey/255" in texts(app) and "8 × 8 digits" in texts(app)


def test_its_elbo_is_judged_by_those_of_single_data(trained):
    app = open_tool(trained[2], seven())
    run = runs.load(trained[2])
    with torch.no_grad():
        x = evaluate.examples(run.config)
        log_w = run.model.log_weights(x, 256)
    exact = np.quantile(log_w.mean(dim=0), [0.05, 0.95])
    pattern = r"90 % have an ELBO between (\S+) and (\S+) nats.* this picture, (\S+), is (\w+)"
    low, high, mine, word = re.search(pattern, texts(app)).groups()
    low, high, mine = (float(n.replace("−", "-")) for n in (low, high, mine))
    # Eight draws of z a datum spread the ELBOs by so much: a quantile moves by at most 1.645 times
    # that where there is no other spread; and one decimal is shown.
    noise = log_w.std(dim=0).mean().item() / 8**0.5
    np.testing.assert_allclose([low, high], exact, atol=2 * noise + 0.05)
    assert word == ("lower" if mine < low else "among" if mine <= high else "higher")


def test_another_draw_of_the_pixels_moves_it_as_far_as_is_said(trained):
    grey = preparation.as_datum(seven(), "digits")
    model = runs.load(trained[2]).model
    with torch.no_grad():
        x = evaluate.present(torch.from_numpy(grey)[None].repeat(300, 1, 1, 1), "dynamic")
        spread = model.log_weights(x, 256).mean(dim=0).std().item()
    (said,) = re.findall(r"the ELBO by about (\S+) nats", texts(open_tool(trained[2], seven())))
    # A standard deviation of 20 values is known to 1/√40 = 16 %, one of 300 to 4 %: four times it.
    assert float(said) == pytest.approx(spread, rel=0.66, abs=0.05)
    assert own_usual.pixel_spread(trained[2], None, bytes(64)) == 0


def test_resampling_shows_the_formula_with_its_numbers_and_the_link_keeps_the_seed(trained):
    app = open_tool(trained[2], seven())
    assert "draws" not in plane_data(app)
    press(app, "Resample ε")
    assert app.query_params["eps"] == "1"
    q = encoded(trained[2], seen(trained[2], seven()))
    loc, scale = (part[0].numpy() for part in families.moments(q))
    first = np.array(plane_data(app)["draws"]["points"])
    assert first.shape == (8, 2)
    # Of 16 independent normal ε none is beyond 4.5 in 9,999 cases of 10,000.
    assert np.abs((first - loc) / scale).max() < 4.5
    found = " ".join(latex.value for latex in app.latex)
    lines = re.findall(r"z_{(\d)} &= (.+?) \+ (.+?) \\times (.+?) = ([^\\]+)", found)
    assert len(lines) == 2 and r"\mu + \sigma \odot \varepsilon" in found
    for d, *numbers in lines:
        mean, spread, noise, z = (float(n.strip("()").replace("−", "-")) for n in numbers)
        assert abs(mean + spread * noise - z) < 0.002 + 0.001 * abs(noise)
        assert abs(z - first[0, int(d) - 1]) < 1e-3 and abs(mean - loc[int(d) - 1]) < 1e-3
    press(app, "Resample ε")
    assert not np.allclose(plane_data(app)["draws"]["points"], first)
    again = open_tool(trained[2], seven(), eps="1")
    assert np.allclose(plane_data(again)["draws"]["points"], first)


def test_the_walk_begins_at_the_mean_and_the_flipbook_goes_along(trained):
    app = press(open_tool(trained[2], seven()), "Walk from it")
    q = encoded(trained[2], seen(trained[2], seven()))
    (path,) = plane_data(app)["paths"]
    assert app.query_params["walk"] == "1"
    np.testing.assert_allclose(path["points"], walk(q.mean[0].numpy(), 24, 0.2, 1), atol=1e-4)
    book = component(app, "captions")
    assert book["n"] == 25 and np.allclose(book["places"], path["points"], atol=1e-4)
    press(app, "No walk")
    assert not plane_data(app)["paths"] and "walk" not in app.query_params


def test_it_becomes_a_and_another_b(trained):
    app = press(open_tool(trained[2], seven()), "Set as A")
    app.session_state["own-drawing"] = Drawing(0, 2, png(seven().T.copy()))
    app.run()
    press(app, "Set as B")
    picks = {pick["label"]: pick["p"] for pick in plane_data(app)["picks"]}
    for name, drawn in (("A", seven()), ("B", seven().T)):
        mean = encoded(trained[2], seen(trained[2], drawn)).mean[0]
        np.testing.assert_allclose(picks[name], mean, atol=1e-3)


def test_the_plane_zooms_in_and_out(trained):
    app = open_tool(trained[2], seven())
    whole = plane_data(app)
    near = plane_data(press(app, "Zoom in on it"))
    (x, y), (x0, x1, y0, y1) = near["ellipses"][0]["p"], near["view"]
    assert near["view_key"] != whole["view_key"]
    np.testing.assert_allclose([(x0 + x1) / 2, (y0 + y1) / 2], [x, y], atol=1e-3)
    assert x1 - x0 < 16 * max(near["ellipses"][0]["cov"]) ** 0.5 + 1e-3
    back = plane_data(press(app, "Show the whole plane"))
    assert back["view"] == whole["view"] and back["view_key"] == whole["view_key"]


def test_the_drawing_outlives_other_tools_and_is_encoded_by_another_run(trained):
    app = open_tool(trained[2], seven())
    choose_tool(app, "Place")
    assert "ellipses" not in plane_data(app)
    choose_tool(app, "Draw")
    first = plane_data(app)["ellipses"]
    app.selectbox(key="run-picked").select(trained[5]).run()
    assert not app.exception and len(first) == 1
    q = encoded(trained[5], seen(trained[5], seven()))
    from ui import cache

    plane = cache.plane(trained[5], "pca")
    (ellipse,) = plane_data(app)["ellipses"]
    np.testing.assert_allclose(ellipse["p"], plane.project(q.mean[0].numpy()), atol=1e-3)
    (expected,) = plane.covariance(q.stddev.numpy())
    np.testing.assert_allclose(ellipse["cov"], expected, rtol=1e-4)
    rates = bounds.rate_per_dimension(q, runs.load(trained[5]).model.prior())[0]
    top = int(rates.argmax()) + 1
    rows = re.findall(r"\| z(\d) \| (\S+) ± (\S+) \| (\S+) \|", texts(app))
    assert len(rows) == 5 and rows[0][0] == str(top) and rows[0][3] == f"{rates.max():.2f}"


def test_an_upload_lands_like_the_drawing_it_shows(trained):
    app = open_tool(trained[2], picture="upload")
    assert "Bring a picture" in texts(app)
    paper = np.kron(255 - seven(), np.ones((3, 3), np.uint8))
    app.file_uploader[0].set_value(("seven.png", png(paper), "image/png")).run()
    assert not app.exception
    mean = encoded(trained[2], seen(trained[2], paper)).mean[0]
    kept = plane_data(app)["ellipses"][0]["p"]
    np.testing.assert_allclose(kept, mean, atol=1e-4)
    for content, said in (
        (b"GIF89a nonsense", "PNG, JPEG, WebP, GIF or BMP"),
        (png(paper)[:900], "damaged, or its file is cut off"),
    ):
        app.file_uploader[0].set_value(("other.png", content, "image/png")).run()
        assert not app.exception and len(app.warning) == 1 and said in app.warning[0].value
        assert plane_data(app)["ellipses"][0]["p"] == kept
    choose_tool(app, "Place")
    choose_tool(app, "Draw")
    assert plane_data(app)["ellipses"][0]["p"] == kept
    app.file_uploader[0].set_value(
        ("blank.png", png(np.full((90, 90), 255, np.uint8)), "image/png")
    )
    app.run()
    assert "nothing to be seen" in app.warning[0].value and "ellipses" not in plane_data(app)
    app.file_uploader[0].set_value(None).run()
    assert not app.warning and "Bring a picture" in texts(app)


def test_a_photo_is_turned_upright_and_can_be_drawn_on(trained):
    app = open_tool(trained[2], picture="camera")
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    lying = np.rot90(np.kron(255 - seven(), np.ones((4, 4), np.uint8)))
    Image.fromarray(lying).save(file, "JPEG", exif=exif, quality=92)
    app.camera_input[0].set_value(("photo.jpg", file.getvalue(), "image/jpeg")).run()
    assert not app.exception
    mean = encoded(trained[2], seen(trained[2], seven())).mean[0].numpy()
    spread = cache_spread(trained[2])
    assert np.linalg.norm(plane_data(app)["ellipses"][0]["p"] - mean) < 0.5 * spread
    press(app, "Draw on it")
    board = component(app, "heard")
    assert board["of"] == 1 and len(board["picture"]) > 100
    assert app.query_params["picture"] == "draw"


def cache_spread(run_id: str) -> float:
    """How far a datum is from another, as a rule."""
    from ui import cache

    loc = cache.points(run_id, "held_out").loc
    return float(np.median(np.linalg.norm(loc[:100, None] - loc[100:200], axis=-1)))


def test_a_datum_is_chosen_by_number_by_label_and_by_a_click(trained):
    app = open_tool(trained[2], picture="data", example="12")
    from ui import cache

    loc = cache.points(trained[2], "held_out").loc
    np.testing.assert_allclose(plane_data(app)["marks"][0]["p"], loc[12], atol=1e-3)
    app.number_input(key="own-example").set_value(20).run()
    assert app.query_params["example"] == "20"
    np.testing.assert_allclose(plane_data(app)["marks"][0]["p"], loc[20], atol=1e-3)
    app.selectbox(key="own-label").select("3").run()
    assert not app.exception and "Its label is **3**" in texts(app)
    press(app, "Surprise me")
    assert "Its label is **3**" in texts(app)
    app.query_params["datum"] = "7"  # as a click on a dot does
    app.run()
    np.testing.assert_allclose(plane_data(app)["marks"][0]["p"], loc[7], atol=1e-3)


@pytest.mark.parametrize("asked", ["-3", "99999999999", "x", "360"])
def test_a_wrong_datum_in_the_link_does_no_harm(asked, trained):
    app = open_tool(trained[2], picture="data", example=asked, eps=asked, walk=asked)
    assert len(plane_data(app)["ellipses"]) == 1


FAMILIES = {
    "full": {"family": "full"},
    "flow": {"family": "flow"},
    "one": {"latent_dim": 1},
    "many-full": {"family": "full", "latent_dim": 6},
    "grey": {"likelihood": "continuous-bernoulli", "binarisation": "none"},
    "told": {"conditional": True},
}


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family(name):
    run_id = runs.create(
        RunConfig(**{"dataset": "digits", "hidden": (8,), "epochs": 1, **FAMILIES[name]})
    )
    train.train(run_id)
    query = {"y": "4"} if name == "told" else {}
    app = open_tool(run_id, seven(), eps="1", walk="1", **query)
    from ui import cache

    q = encoded(run_id, seen(run_id, seven()), 4 if name == "told" else None)
    loc, covariance = families.moments(q)[0], families.covariance(q)
    axes = "pca" if loc.shape[1] > 2 else "0,1"
    plane, (ellipse,) = cache.plane(run_id, axes), plane_data(app)["ellipses"]
    np.testing.assert_allclose(ellipse["p"], plane.project(loc[0].numpy()), atol=2e-3)
    (expected,) = plane.covariance(families.moments(q)[1].numpy(), covariance.numpy())
    np.testing.assert_allclose(ellipse["cov"][:2], expected[:2], atol=1e-5, rtol=1e-3)
    found = " ".join(latex.value for latex in app.latex)
    sign = {"full": r"L\,\varepsilon", "many-full": r"L\,\varepsilon"}.get(name, r"\odot")
    assert (r"\mapsto" if name == "flow" else sign) in found
    assert ("±" in app.metric[1].value) == (name == "flow")  # where the rate is an average
    assert ("greys stay" in texts(app)) == (name == "grey")
    assert ("Another draw of the pixels" in texts(app)) == (name != "grey")
    assert ("too crowded" in texts(app)) == (name != "told")
    assert ("are told the label **4**" in texts(app)) == (name == "told")


def test_points_in_the_plane_are_chosen_not_drawn():
    grey = {"likelihood": "gaussian", "binarisation": "none"}
    run_id = runs.create(RunConfig(dataset="pinwheel", hidden=(8,), epochs=1, **grey))
    train.train(run_id)
    app = open_tool(run_id, picture="draw")
    assert "nothing to draw" in texts(app) and len(plane_data(app)["ellipses"]) == 1
    assert not [g for g in app.get("segmented_control") if g.key == "own-source"]


def test_in_a_picture_by_t_sne_it_has_a_place_and_no_ellipse(trained):
    from ui import layouts

    analysis.perform(trained[5], layouts.ASK.model_dump_json())
    app = open_tool(trained[5], seven(), axes="neighbours (t-SNE)", eps="1", walk="1")
    data = plane_data(app)
    assert data["axes"] == ["t-SNE 1", "t-SNE 2"] and "ellipses" not in data
    (mark,) = data["marks"]
    x0, x1, y0, y1 = data["view"]
    assert x0 < mark["p"][0] < x1 and y0 < mark["p"][1] < y1
    assert len(data["draws"]["points"]) == 8 and len(data["paths"][0]["points"]) == 25
    assert not [b for b in app.button if b.label == "Zoom in on it"]
