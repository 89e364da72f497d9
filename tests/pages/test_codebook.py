"""The codebook page, read through AppTest: its sections, what they say, and its troubles."""

from __future__ import annotations

import json

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.opening import PAGES, open_page, plane_data, texts
from ui import code_samples, codes, widgets
from ui.codebook import levels
from vae import runs
from vae.config import RunConfig
from vae.train import train

TITLE = "How does a VQ-VAE spend its codes?"


def open_section(run_id: str, section: str = "Codebook", **query: str) -> AppTest:
    app = open_page("codebook", run=run_id, section=section, **query)
    assert app.title[0].value == TITLE
    return app


def test_numbers_are_those_of_the_held_out_data(coded: dict[int, str]) -> None:
    app = open_section(coded[1])
    judged = codes.judged(coded[1], "held_out")
    bound = -(judged.distortion + judged.rate).mean().item()
    metrics = {metric.label: metric.value for metric in app.metric}
    assert metrics["Bound on log p(x), nats"].startswith(f"{bound:.1f}".replace("-", "−"))
    spent = codes.spending(coded[1], "held_out")
    assert metrics["Codes in use"] == f"{16 - spent.dead[0]} of 16"
    assert metrics["Perplexity"] == f"{spent.perplexity[0]:.1f}"


def test_the_plane_shows_codes_with_cells_and_a_code_can_be_chosen(coded: dict[int, str]) -> None:
    data = plane_data(open_section(coded[1]))["codes"]
    assert np.shape(data["places"]) == (16, 2) and data["cells"] and data["selected"] is None
    assert sum(data["usage"]) == pytest.approx(1, abs=1e-4)
    app = open_section(coded[1], code="3")
    assert plane_data(app)["codes"]["selected"] == 3
    assert len(plane_data(app)["codes"]["neighbours"]) == 6
    assert [s.value for s in app.subheader if s.value.startswith("Code ")] == ["Code 3"]
    used = codes.spending(coded[1], "held_out").counts[0]
    assert f"**{used[3]:,}** of 1,440" in texts(app) or "Code 3 is dead" in texts(app)


def test_codes_of_more_dimensions_have_no_cells(coded: dict[int, str]) -> None:
    data = plane_data(open_section(coded[2]))
    assert not data["codes"]["cells"] and data["axes"] == ["PC 1", "PC 2"]
    assert data["backdrop"] is None and data["decode"] is None


def test_the_training_is_replayed(coded: dict[int, str]) -> None:
    data = plane_data(open_section(coded[1], replay="true"))
    assert data["backdrop"] is None and data["decode"] is None  # no weights of past epochs
    frames = data["replay"]["frames"]
    assert [frame["label"] for frame in frames] == [f"epoch {n}" for n in range(4)]
    assert all(np.shape(frame["codes"]["places"]) == (16, 2) for frame in frames)


@pytest.mark.parametrize("code", ["16", "-1", "x"])
def test_a_code_that_is_not_there_is_said(coded: dict[int, str], code: str) -> None:
    app = open_section(coded[1], code=code)
    assert "this run has 16 of them" in texts(app) and "code" not in app.query_params


def test_the_code_map_is_that_of_the_image_asked_for(coded: dict[int, str]) -> None:
    app = open_section(coded[1], "Code map", image="7")
    protos = [json.loads(e.proto.json or "{}") for e in app.get("bidi_component")]
    (sent,) = [data for data in protos if "palettes" in data]
    assert sent["codes"] == codes.mapped(coded[1], "held_out", 7).codes.tolist()
    assert "Hover a cell" in texts(app)


def test_an_image_that_is_not_there_is_said(coded: dict[int, str]) -> None:
    assert "There is no image 99999" in texts(open_section(coded[1], "Code map", image="99999"))


@pytest.mark.parametrize(
    "changes",
    [
        {"dataset": "gaussian-mixture", "likelihood": "gaussian", "binarisation": "none"},
        {"quantiser": "fsq", "fsq_levels": (5, 4), "n_codes": 20, "map_side": 2},
        {"quantiser": "fsq", "fsq_levels": (4, 3, 3), "n_codes": 36, "latent_dim": 3},
        {"cosine": True, "latent_dim": 3, "map_side": 2},
        {"codebook": "loss", "levels": 2},
        {"body": "conv", "hidden": (4, 8, 8), "map_side": 4},
    ],
    ids=lambda changes: "-".join(map(str, changes.values())),
)
def test_every_kind_of_codes_opens_in_every_section(changes: dict[str, object]) -> None:
    base = {"model": "vq-vae", "dataset": "digits", "hidden": (8,), "n_codes": 16, "map_side": 1}
    config = RunConfig(**{**base, "epochs": 1, "prior_epochs": 1, **changes})
    run_id = runs.create(config)
    train(run_id)
    for section in ("Codebook", "Code map", "Usage", "Samples", "Levels"):
        open_section(run_id, section, code="3", replay="true")


def test_usage_says_what_codes_cost(coded: dict[int, str]) -> None:
    app = open_section(coded[1], "Usage")
    assert "A code out of 16 costs 4.00 bits" in texts(app)
    rate = codes.judged(coded[1], "held_out").rate.mean().item() / (4 * np.log(2))
    assert f"{rate:.2f} ±" in texts(app)
    assert "has no learned prior" in texts(open_section(coded[2], "Usage"))
    (table,) = app.dataframe
    assert table.value["run"].tolist() == [coded[1]]


def test_the_temperature_moves_the_samples(coded: dict[int, str]) -> None:
    app = open_section(coded[1], "Samples")
    before = code_samples.samples(coded[1], "learned", 1.0, 0, 16)
    app.slider(key="temperature").set_value(0.2).run()
    assert not app.exception
    cold = code_samples.samples(coded[1], "learned", 0.2, 0, 16)
    assert cold.rates.mean() < before.rates.mean()
    assert f"{cold.rates[0]:.0f} nats" in "\n".join(e.proto.body for e in app.get("html"))


def test_a_completion_keeps_its_first_rows(coded: dict[int, str]) -> None:
    open_section(coded[1], "Samples", complete="5", rows="1")
    found = codes.mapped(coded[1], "held_out", 5).codes
    drawn = code_samples.completions(coded[1], 5, 1, 1.0, 0, 8)
    assert (drawn.codes[:, :, :1] == found[None, :, :1]).all()


def test_without_a_prior_uniform_codes_alone_are_offered(coded: dict[int, str]) -> None:
    app = open_section(coded[2], "Samples")
    assert "has no learned prior" in texts(app) and "Complete" not in str(app.subheader)
    (choice,) = [c for c in app.segmented_control if c.label == "Codes from"]
    assert choice.options == ["uniform codes"]


def test_levels_add_up(coded: dict[int, str]) -> None:
    app = open_section(coded[2], "Levels")
    assert "Each level adds" in texts(app) and app.get("plotly_chart")
    distortion, _ = levels._distortions(codes.run(coded[2]))
    assert f"falls by {distortion[0] - distortion[1]:.1f} nats" in texts(app)
    assert "one level of codes" in texts(open_section(coded[1], "Levels"))


def test_hard_em_needs_no_run_of_its_own(coded: dict[int, str]) -> None:
    app = open_section(coded[1], "Hard EM")
    assert app.get("plotly_chart") and not app.metric


def test_a_vae_is_sent_to_its_own_page_and_the_other_way_round(
    coded: dict[int, str], trained: dict[int, str]
) -> None:
    app = open_page("codebook", run=trained[2])
    assert "is a VAE: its latents are numbers" in texts(app)
    assert app.query_params["run"] == [coded[1]] or app.query_params["run"] == coded[1]
    for page in ("latent_space", "likelihood", "inference"):
        app = open_page(page, run=coded[1])
        assert "is a VQ\\-VAE" in texts(app) or "is a VQ-VAE" in texts(app)


def test_other_pages_offer_vaes_only_and_open_with_codes_about(
    coded: dict[int, str], trained: dict[int, str]
) -> None:
    app = open_page("latent_space")
    assert app.query_params["run"] not in ([coded[1]], coded[1])
    app.switch_page(str(PAGES / "codebook.py")).run()
    assert not app.exception and app.title[0].value == TITLE


def test_the_training_page_draws_both_kinds(coded: dict[int, str], trained: dict[int, str]) -> None:
    app = open_page("training", runs=f"{coded[1]},{trained[2]}")
    titles = [s.value for s in app.subheader]
    assert {"IWAE-64", "Perplexity of the codebook", "Codes nobody uses"} <= set(titles)
    name = widgets.title(trained[2])
    options = [json.loads(chart.proto.spec) for chart in app.get("echarts_chart")]
    series = [line for option in options for line in option["series"]]
    colours = [s["itemStyle"]["color"] for s in series if s["name"] in (f"{name}, held-out", name)]
    assert len(colours) >= 5 and len(set(colours)) == 1  # one run, one colour, in every chart
    app = open_page("training", runs=coded[1])
    assert "IWAE-64" not in [s.value for s in app.subheader]


def test_the_overview_has_a_card_for_codes(coded: dict[int, str], trained: dict[int, str]) -> None:
    assert "VQ-VAE, 16 codes of 2 numbers" in texts(open_page("overview"))


def test_without_a_vq_vae_the_page_says_where_to_get_one(trained: dict[int, str]) -> None:
    assert "There is no VQ-VAE yet" in texts(open_page("codebook"))


def test_a_collapsed_codebook_is_said_and_revival_offered(no_workers: list[str]) -> None:
    config = RunConfig(
        name="lazy",
        model="vq-vae",
        dataset="digits",
        hidden=(8,),
        n_codes=64,
        map_side=1,
        epochs=1,
        revival=False,
        kmeans_init=False,
        learning_rate=1e-2,
    )
    run_id = runs.create(config)
    train(run_id)
    assert codes.spending(run_id, "held_out").perplexity[0] < 6.4
    app = open_section(run_id)
    assert "This codebook has collapsed" in texts(app)
    app.button(key="revive").click().run()
    assert not app.exception and len(no_workers) == 1
    helped = runs.read_config(no_workers[0])
    assert helped == config.model_copy(
        update={"revival": True, "kmeans_init": True, "name": "lazy revived"}
    )


def test_one_code_a_datum_has_an_exact_value() -> None:
    config = RunConfig(model="vq-vae", dataset="digits", hidden=(8,), map_side=1, epochs=1)
    run_id = runs.create(config)
    train(run_id)
    assert "log p(x) itself is a sum over the 128 codes" in texts(open_section(run_id))


def test_a_run_that_still_trains_says_so(coded: dict[int, str]) -> None:
    runs.set_status(coded[1], "running")
    app = open_section(coded[1], "Code map")
    assert "edits of a code map begin anew" in texts(app)
