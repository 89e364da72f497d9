"""The record of a run: its bounds, its sentences, and its way through JSON."""

from __future__ import annotations

import json
import math

import pytest
from pydantic import ValidationError

from vae.config import (
    CONFIG_VERSION,
    DATA_SHAPES,
    DOWNLOADED,
    N_LABELS,
    ConfigError,
    RunConfig,
)
from vae.model import refuse_absurd
from vae.presets import PRESETS
from vae.reading import explain, read_config

WRONG = [
    ("version", 0),
    ("name", "x" * 81),
    ("dataset", "imagenet"),
    ("binarisation", "sometimes"),
    ("model", "gan"),
    ("body", "transformer"),
    ("hidden", (0,)),
    ("hidden", (8193,)),
    ("hidden", (5,) * 7),
    ("hidden", "wide"),
    ("activation", "gelu"),
    ("latent_dim", 0),
    ("latent_dim", 129),
    ("latent_dim", 2.5),
    ("latent_dim", "two"),
    ("latent_dim", None),
    ("family", "banana"),
    ("likelihood", "laplace"),
    ("conditional", "maybe"),
    ("conditional", None),
    ("quantiser", "sieve"),
    ("n_codes", 1),
    ("n_codes", 8193),
    ("map_side", 0),
    ("map_side", 15),
    ("levels", 0),
    ("levels", 5),
    ("fsq_levels", (1,)),
    ("fsq_levels", (65,)),
    ("fsq_levels", (5,) * 9),
    ("codebook", "cook"),
    ("decay", -0.1),
    ("decay", 1),
    ("decay", math.nan),
    ("commitment", -0.1),
    ("commitment", 101),
    ("commitment", math.nan),
    ("through", "gumbel"),
    ("kmeans_init", "maybe"),
    ("revival", "maybe"),
    ("cosine", "maybe"),
    ("prior_epochs", -1),
    ("prior_epochs", 10_001),
    ("objective", "loss"),
    ("k", 0),
    ("k", 513),
    ("beta", -0.1),
    ("beta", 101),
    ("beta", math.nan),
    ("beta_warmup", -1),
    ("beta_warmup", 10_001),
    ("batch_size", 0),
    ("batch_size", 16_385),
    ("epochs", 0),
    ("epochs", 10_001),
    ("learning_rate", 0),
    ("learning_rate", 1.1e6),
    ("learning_rate", math.inf),
    ("learning_rate", math.nan),
    ("schedule", "linear"),
    ("max_grad_norm", 0),
    ("max_grad_norm", 1.1e9),
    ("max_grad_norm", math.nan),
    ("seed", -1),
    ("seed", 2**31),
    ("device", "tpu"),
    ("evaluate_every", 0),
    ("evaluate_every", 1_001),
]


@pytest.mark.parametrize(("field", "value"), WRONG)
def test_a_field_out_of_bounds_is_named(field, value):
    with pytest.raises(ValidationError) as caught:
        RunConfig(**{field: value})
    sentence = explain(caught.value)
    assert sentence.startswith(field) and sentence.endswith(".") and "\n" not in sentence


def test_every_field_has_bounds():
    assert {field for field, _ in WRONG} == set(RunConfig.model_fields)


def test_two_wrong_fields_are_two_sentences():
    with pytest.raises(ValidationError) as caught:
        RunConfig(latent_dim=0, epochs=0)
    sentence = explain(caught.value)
    assert sentence == ("latent_dim must be at least 1 (not 0). epochs must be at least 1 (not 0).")


def test_an_unknown_field_is_refused():
    with pytest.raises(ValidationError) as caught:
        RunConfig(latent_dimension=2)
    assert explain(caught.value) == "latent_dimension: there is no such field."


@pytest.mark.parametrize("dataset", ["mnist-subset", "digits", "shapes"])
def test_grey_pixels_under_a_plain_bernoulli_are_refused_with_the_reason(dataset):
    with pytest.raises(ValidationError) as caught:
        RunConfig(dataset=dataset, binarisation="none")
    assert "grey pixels" in explain(caught.value)


UNFIT = [
    ({"likelihood": "gaussian"}, "grey values"),
    ({"likelihood": "continuous-bernoulli", "binarisation": "fixed"}, "grey values"),
    ({"dataset": "pinwheel"}, "points in the plane"),
    ({"dataset": "gaussian-mixture", "likelihood": "gaussian"}, "points in the plane"),
    ({"k": 5}, "iwae"),
    ({"objective": "iwae", "k": 5, "beta": 2}, "β"),
    ({"objective": "iwae", "k": 5, "beta_warmup": 2}, "warm-up"),
    ({"body": "conv"}, "three hidden sizes"),
    ({"hidden": ()}, "at least one hidden layer"),
    ({"body": "linear", "hidden": ()}, "binarisation to none"),
    ({"body": "linear", "likelihood": "gaussian", "binarisation": "none"}, "leave hidden empty"),
    (
        {
            "body": "linear",
            "hidden": (),
            "likelihood": "gaussian",
            "binarisation": "none",
            "conditional": True,
        },
        "told no label",
    ),
    (
        {"body": "linear", "hidden": (), "dataset": "pinwheel", "likelihood": "bernoulli"},
        "points in the plane",
    ),
]


@pytest.mark.parametrize(("fields", "reason"), UNFIT)
def test_fields_that_do_not_fit_each_other_are_refused_with_the_reason(fields, reason):
    with pytest.raises(ValidationError) as caught:
        RunConfig(**fields)
    sentence = explain(caught.value)
    assert reason in sentence and sentence.endswith(".")
    assert sentence[0].isascii(), "a symbol at the beginning would be capitalised"


def test_the_elbo_sentence_keeps_the_name_of_k():
    with pytest.raises(ValidationError) as caught:
        RunConfig(k=5)
    assert "k = 5" in explain(caught.value)


def test_a_configuration_never_changes():
    config = RunConfig()
    with pytest.raises(ValidationError):
        config.latent_dim = 3
    assert hash(config) == hash(RunConfig())


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
def test_presets_survive_json_and_can_be_built(config):
    assert read_config(config.model_dump_json()) == config
    assert read_config(json.dumps(config.model_dump(mode="json"))) == config
    refuse_absurd(config)


def test_presets_are_called_as_they_are_listed():
    assert {key: config.name for key, config in PRESETS.items()} == {key: key for key in PRESETS}


@pytest.mark.parametrize("fields", [{}, {"objective": "nested"}, {"hidden": "deep"}])
def test_a_newer_version_is_told_apart_from_a_wrong_field(fields):
    text = json.dumps({"version": CONFIG_VERSION + 1, "new_field": 1, **fields})
    with pytest.raises(ConfigError, match=r"newer ELBO Room .*update the app"):
        read_config(text)


@pytest.mark.parametrize("version", range(1, CONFIG_VERSION))
def test_a_configuration_of_an_earlier_version_reads_as_it_was(version):
    fields = {"version": version, "dataset": "digits", "family": "diagonal", "body": "mlp"}
    config = read_config(json.dumps(fields))
    assert config.version == version and not config.conditional
    assert config == RunConfig(version=version, dataset="digits")


@pytest.mark.parametrize("dataset", DATA_SHAPES)
def test_a_linear_body_takes_every_data_set(dataset):
    fields = {"likelihood": "gaussian", "binarisation": "none", "latent_dim": 1}
    refuse_absurd(RunConfig(dataset=dataset, body="linear", hidden=(), **fields))


def test_a_newer_version_is_refused_in_a_form_too():
    with pytest.raises(ValidationError) as caught:
        RunConfig(version=CONFIG_VERSION + 1)
    assert "newer ELBO Room" in explain(caught.value)


@pytest.mark.parametrize(
    "text",
    ["", "{", "null", "[]", "5", '"x"', "[" * 100_000, '{"a":' * 100_000, "9" * 5_000, "\ud800"],
    ids=lambda text: ascii(text[:6]),
)
def test_text_that_is_no_configuration_is_refused_in_one_sentence(text):
    with pytest.raises(ConfigError) as caught:
        read_config(text)
    assert str(caught.value).endswith(".") and len(str(caught.value)) < 400


def test_the_tables_of_data_sets_agree():
    assert set(DOWNLOADED) < set(DATA_SHAPES) == set(N_LABELS)
    assert set(RunConfig.model_fields["dataset"].annotation.__args__) == set(DATA_SHAPES)
