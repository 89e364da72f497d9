"""A VQ-VAE as a run: both stages of its training, what it leaves, and what is refused in words."""

from __future__ import annotations

import importlib.util
import itertools
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from vae import code_prior, code_snapshots, evaluate, recorder, results, runs, train as training
from vae.config import CODE_FIELDS, CONFIG_VERSION, ConfigError, RunConfig
from vae.files import read_tensors
from vae.model import refuse_absurd
from vae.reading import explain, read_config
from vae.runs import RunError
from vae.schedule import learning_rate_at
from vae.train import train
from vae.vqvae import VQVAE

ROOT = Path(__file__).parents[2]
CLOCK = {"seconds", "samples_per_second"}
STEPS = math.ceil(1_437 / 256)


@pytest.fixture(autouse=True)
def small_prior(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thinner transformer is one too, and learns in a fraction of the time."""
    monkeypatch.setattr(code_prior, "WIDTH", 16)
    monkeypatch.setattr(code_prior, "BLOCKS", 1)


def tiny(**fields: Any) -> RunConfig:
    given = {"model": "vq-vae", "dataset": "digits", "hidden": (24,), "latent_dim": 4}
    given |= {"n_codes": 16, "map_side": 2, "epochs": 2, "prior_epochs": 2, "batch_size": 256}
    return RunConfig(**{**given, "learning_rate": 5e-3, **fields})


def trained(**fields: Any) -> str:
    run_id = runs.create(tiny(**fields))
    train(run_id)
    return run_id


def outcome(run_id: str) -> tuple[list[dict[str, Any]], dict[str, dict[str, torch.Tensor]]]:
    """Everything that a training leaves, but for the clock."""
    path = runs.folder(run_id)
    metrics = [{k: v for k, v in m.items() if k not in CLOCK} for m in runs.metrics(run_id)]
    kept = [path / "resume.safetensors", *(path / "snapshots").glob("*.safetensors")]
    return metrics, {str(file.relative_to(path)): read_tensors(file)[0] for file in kept}


def assert_same(run_id: str, other: str) -> None:
    (metrics, tensors), (expected, theirs) = outcome(run_id), outcome(other)
    assert metrics == expected and tensors.keys() == theirs.keys()
    for name, kept in theirs.items():
        assert tensors[name].keys() == kept.keys()
        assert all(torch.equal(tensors[name][key], t) for key, t in kept.items()), name


# Both stages


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"levels": 2, "likelihood": "gaussian", "binarisation": "none"},
        {"codebook": "loss", "through": "rotation", "kmeans_init": False},
        {"cosine": True, "likelihood": "continuous-bernoulli", "binarisation": "none"},
        {"quantiser": "fsq", "fsq_levels": (4, 3), "latent_dim": 2, "n_codes": 12},
        {"body": "conv", "hidden": (4, 8, 8), "binarisation": "fixed"},
    ],
    ids=lambda fields: "-".join(str(value) for value in fields.values()) or "default",
)
def test_the_elbo_rises_in_both_stages(fields):
    run_id = trained(**fields)
    status = runs.status(run_id)
    assert (status.state, status.epoch, status.progress) == ("finished", 4, 1)
    lines = runs.metrics(run_id)
    assert [line["epoch"] for line in lines] == [0, 1, 2, 3, 4]
    config = runs.read_config(run_id)
    for split in ("train", "held_out"):
        of = [line[split] for line in lines]
        # The same data at every epoch; four standard errors of one of the two besides.
        assert of[2]["elbo"] - of[0]["elbo"] > 4 * of[2]["elbo_se"]
        for line in of:
            assert line["elbo"] == pytest.approx(-(line["rate"] + line["distortion"]))
            assert len(line["perplexity"]) == len(line["dead"]) == config.levels
            for name in ("perplexity", "batch_perplexity"):
                assert all(1 <= value <= config.n_codes + 1e-3 for value in line[name])
            unused = [round((1 - share) * config.n_codes) for share in line["usage"]]
            assert unused == line["dead"]
        # The border: until there every map costs the same, from there on the likely ones less.
        for line in of[:3]:
            assert line["rate"] == pytest.approx(line["rate_uniform"], rel=1e-5)
            assert line["elbo"] == pytest.approx(line["elbo_uniform"], rel=1e-5)
        assert of[2]["rate"] > of[3]["rate"] > of[4]["rate"]
        for name in ("distortion", "squared_error", "commitment", "elbo_uniform", "perplexity"):
            assert of[2][name] == of[3][name] == of[4][name], name
    assert lines[3]["moved"] == lines[4]["moved"] == 0
    assert (lines[1]["moved"] > 0) == (config.quantiser == "vq")
    assert lines[-1]["step"] == 4 * status.steps == 4 * STEPS
    run = runs.load(run_id)
    assert run.epoch == 4 and isinstance(run.model, VQVAE)
    assert f"vq{config.n_codes}" in run_id


def test_in_the_second_stage_only_the_prior_moves():
    whole, short = trained(), runs.create(tiny())
    seen = []

    def look(run_id, trainer, *rest, **named):
        seen.append({k: v.clone() for k, v in trainer.model.state_dict().items()})
        return record(run_id, trainer, *rest, **named)

    record = recorder.record
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorder, "record", look)
        train(short)
    start, _, border, later, end = seen
    prior = {name for name in start if name.startswith("prior.")}
    for name in start:
        still = name in prior
        assert torch.equal(border[name], later[name]) != still or name == "before", name
        if still:
            assert torch.equal(start[name], border[name]), name
            assert not torch.equal(later[name], end[name]), name
    assert_same(short, whole)


def test_without_a_second_stage_nothing_of_it_is_there():
    run_id = trained(prior_epochs=0)
    assert [line["epoch"] for line in runs.metrics(run_id)] == [0, 1, 2]
    model = runs.load(run_id).model
    assert not [name for name in model.state_dict() if name.startswith("prior.")]


def test_the_border_is_recorded_even_between_two_evaluations():
    run_id = trained(epochs=3, prior_epochs=2, evaluate_every=4)
    assert [line["epoch"] for line in runs.metrics(run_id)] == [0, 3, 4, 5]
    assert runs.snapshots(run_id) == [0, 3]


def test_the_learning_rate_begins_anew_with_the_second_stage():
    config = tiny(schedule="cosine", epochs=10, prior_epochs=4, learning_rate=0.5)
    rates = [learning_rate_at(config, epoch / 4) for epoch in range(57)]
    assert rates[0] == rates[40] == 0.5 and rates[56] == pytest.approx(0, abs=1e-15)
    for stage in (rates[:40], rates[40:]):
        assert all(later < earlier for earlier, later in itertools.pairwise(stage))
    assert learning_rate_at(tiny(), 3.3) == tiny().learning_rate


def test_how_often_is_recorded_does_not_change_the_weights():
    often, seldom = (trained(evaluate_every=n) for n in (1, 4))
    first, second = (runs.load(run_id).model.state_dict() for run_id in (often, seldom))
    assert all(torch.equal(second[name], t) for name, t in first.items())


# Stopping and going on


@pytest.fixture(scope="module")
def stormy() -> dict[str, Any]:
    """Settings under which codes die and are revived all the time, which takes random numbers."""
    return {"kmeans_init": False, "n_codes": 64, "decay": 0.5}


@pytest.mark.parametrize("batch", [STEPS + 3, 3 * STEPS + 2], ids=["first-stage", "second-stage"])
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(batch, stormy, monkeypatch):
    whole, halved = trained(**stormy), runs.create(tiny(**stormy))
    real, calls = training.objective, itertools.count(1)

    def stop_there(*args: Any) -> torch.Tensor:
        if next(calls) == batch:
            runs.request_stop(halved)
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(training, "objective", stop_there)
        train(halved)
    assert runs.status(halved).state == "stopped"
    runs.requeue(halved)
    train(halved)
    assert runs.status(halved).state == "finished"
    assert_same(halved, whole)
    revived = [line["revived"] for line in runs.metrics(whole)]
    assert revived[0] == 0 and revived[1] < revived[2] == revived[4], "in the first stage only"


def test_the_seed_decides_everything(stormy):
    first, second, other = trained(**stormy), trained(**stormy), trained(**stormy, seed=2)
    assert_same(first, second)
    assert outcome(first)[0] != outcome(other)[0]


# Snapshots


@pytest.mark.parametrize("side", [1, 2, 4])
def test_snapshots_hold_the_codebook_its_use_and_vectors_with_their_labels(side, monkeypatch):
    monkeypatch.setattr(code_snapshots, "N_VECTORS", 90)
    run_id = trained(map_side=side, levels=2, prior_epochs=0)
    assert runs.snapshots(run_id) == [0, 1, 2]
    run = runs.load(run_id)
    x, labels = evaluate.examples(run.config), evaluate.labels_of(run.config)
    kept = code_snapshots.read_snapshot(run_id, 2)
    codebook = run.model.quantiser.codebook.numpy()
    assert abs(kept.codebook - codebook).max() < 1e-3 * abs(codebook).max()  # half floats
    assert kept.counts.shape == (2, 16) and (kept.counts.sum(-1) == len(x) * side**2).all()
    line = runs.metrics(run_id)[-1]["held_out"]
    assert ((kept.counts == 0).sum(-1) == line["dead"]).all()
    assert kept.vectors.shape == (90, 4) and kept.labels.shape == (90,)
    with torch.no_grad():
        z = run.model.latents(x).flatten(0, 2)
    scale = z.abs().max()
    for vector, label in zip(kept.vectors, kept.labels, strict=True):
        near = (z - torch.from_numpy(vector)).abs().amax(-1) < 1e-3 * scale
        assert label in labels.repeat_interleave(side**2)[near]
    first = code_snapshots.read_snapshot(run_id, 0)
    assert abs(first.codebook - kept.codebook).max() > 1e-3


def test_a_snapshot_that_is_damaged_or_was_not_kept_is_a_sentence():
    run_id = trained(prior_epochs=0, epochs=1)
    path = runs.folder(run_id) / "snapshots" / "00001.safetensors"
    with pytest.raises(RunError, match=r"Epoch 7 of .* cannot be shown"):
        code_snapshots.read_snapshot(run_id, 7)
    for content in (path.read_bytes()[:-5], b"", b"{}"):
        path.write_bytes(content)
        with pytest.raises(RunError, match=r"Epoch 1 of .* cannot be shown"):
            code_snapshots.read_snapshot(run_id, 1)


# What is refused


def test_more_codes_than_different_vectors_end_a_run_with_a_sentence():
    run_id = runs.create(
        tiny(
            dataset="pinwheel",
            likelihood="gaussian",
            binarisation="none",
            map_side=1,
            n_codes=2_001,  # of 10,000 data, whose first 2,000 k-means looks at
        )
    )
    train(run_id)
    status = runs.status(run_id)
    assert status.state == "failed" and "make n_codes smaller" in status.reason


UNFIT = [
    ({"latent_dim": 1}, "two neighbours"),
    ({"latent_dim": 65}, "at most 64"),
    ({"map_side": 1, "n_codes": 1_438}, r"more codes \(1,438\) than vectors"),
    ({"dataset": "mnist-subset", "map_side": 1, "n_codes": 8_192, "latent_dim": 1}, "neighbours"),
    ({"family": "full"}, "has no family"),
    ({"conditional": True}, "has no conditional"),
    ({"objective": "iwae", "k": 5}, "has no objective"),
    ({"beta": 2}, "has no beta"),
    ({"beta_warmup": 2}, "has no beta_warmup"),
    ({"body": "linear", "hidden": ()}, "a body that bends"),
    ({"fsq_levels": (5, 5)}, "leave them out"),
    ({"quantiser": "fsq"}, "one dimension for each"),
    ({"quantiser": "fsq", "fsq_levels": (8, 5, 5)}, "n_codes to 200"),
    ({"quantiser": "fsq", "fsq_levels": (4, 4), "latent_dim": 2, "n_codes": 17}, "their product"),
    *(
        (
            {"quantiser": "fsq", "fsq_levels": (4, 4), "latent_dim": 2, "n_codes": 16, **odd},
            "fixed, has one level and rounds",
        )
        for odd in ({"levels": 2}, {"cosine": True}, {"codebook": "loss"}, {"through": "rotation"})
    ),
    ({"body": "conv", "hidden": (4, 8, 8), "map_side": 3}, "maps of 1, 2, 4"),
    ({"body": "conv", "hidden": (4, 8, 8), "map_side": 8}, "maps of 1, 2, 4"),
    (
        {"dataset": "mnist-subset", "body": "conv", "hidden": (4, 8, 8), "map_side": 5},
        "maps of 1, 2, 4, 7, 14",
    ),
    ({"dataset": "pinwheel"}, "points in the plane"),
]


@pytest.mark.parametrize(("fields", "reason"), UNFIT)
def test_fields_that_do_not_fit_each_other_are_refused_with_the_reason(fields, reason):
    with pytest.raises(ValidationError, match=reason) as caught:
        tiny(**fields)
    sentence = explain(caught.value)
    assert sentence.endswith(".") and sentence[0].isascii()


OTHER = {
    "quantiser": "fsq",
    "n_codes": 64,
    "map_side": 2,
    "levels": 2,
    "fsq_levels": (4, 4),
    "codebook": "loss",
    "decay": 0.9,
    "commitment": 1.0,
    "through": "rotation",
    "kmeans_init": False,
    "revival": False,
    "cosine": True,
    "prior_epochs": 5,
}


@pytest.mark.parametrize("field", CODE_FIELDS)
def test_a_vae_has_no_codes_to_set(field):
    with pytest.raises(ValidationError) as caught:
        RunConfig(**{field: OTHER[field]})
    sentence = explain(caught.value)
    assert sentence == f"{field.capitalize()} is a setting of a VQ-VAE: set model to vq-vae."


def test_a_vq_vae_beyond_all_bounds_is_refused_before_it_is_built():
    config = tiny(hidden=(8_192, 8_192), latent_dim=64, map_side=8)
    with pytest.raises(ConfigError, match="make the hidden sizes smaller"):
        refuse_absurd(config)


# What was there before


@pytest.mark.parametrize("version", range(1, CONFIG_VERSION))
def test_files_of_earlier_versions_are_vaes(version):
    config = read_config(json.dumps({"version": version, "dataset": "digits", "latent_dim": 5}))
    assert config.model == "vae" and not config.is_vq and config.all_epochs == config.epochs
    assert config == RunConfig(version=version, dataset="digits", latent_dim=5)


def asked(run_id: str) -> list[Any]:
    """What the shipped runs were asked, as ``checkpoints/analyse.py`` says."""
    spec = importlib.util.spec_from_file_location("analyse", ROOT / "checkpoints" / "analyse.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.asked(run_id)


@pytest.mark.parametrize("run_id", ["digits-2d", "mnist-2d", "mnist-2d-conv", "mnist-50d"])
def test_the_analyses_that_are_shipped_are_still_found(run_id, monkeypatch):
    monkeypatch.delenv("VAE_RUNS")
    requests = asked(run_id)
    assert requests
    for request in requests:
        assert results.read(run_id, request) is not None, request.kind
