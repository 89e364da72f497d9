"""The conditional VAE against layers written by hand, against quadrature, and in training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vae import (
    analysis,
    bounds,
    checkpoint,
    data,
    evaluate,
    exact,
    files,
    latent,
    results,
    runs,
    snapshots,
    train as training,
)
from vae.config import N_LABELS, ConfigError, RunConfig
from vae.downloads import FILES
from vae.evaluate import examples, labels_of
from vae.labelled import Labelled
from vae.model import VAE, count_parameters, flops_per_datum
from vae.reading import read_config
from vae.requests import Embedding, Evidence, Gaps
from vae.train import run_epoch, train, training_data

CPU = torch.device("cpu")
CLOCK = {"seconds", "samples_per_second"}
BODIES = {
    "mlp": {"hidden": (12, 8)},
    "conv": {"body": "conv", "hidden": (3, 4, 8), "activation": "tanh"},
    "full": {"family": "full", "latent_dim": 3},
    "flow": {"family": "flow"},
    "grey": {"binarisation": "none", "likelihood": "gaussian"},
    "points": {"dataset": "pinwheel", "binarisation": "none", "likelihood": "gaussian"},
}


def config(kind: str = "mlp", **fields: Any) -> RunConfig:
    own = {"dataset": "digits", "hidden": (8,), "epochs": 1, **BODIES[kind]}
    return RunConfig(**{**own, "conditional": True, **fields})


def make(kind: str = "mlp", **fields: Any) -> VAE:
    """A model in float64 whose weights are far from zero, its shifts too."""
    torch.manual_seed(0)
    model = VAE(config(kind, **fields)).double()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return model.eval().requires_grad_(False)


def some(kind: str, n: int = 12) -> tuple[Tensor, Tensor]:
    """Data and their labels."""
    return examples(config(kind), n=n).double(), labels_of(config(kind), n=n)


# What a label does


@pytest.mark.parametrize("kind", ["mlp", "grey", "points"])
def test_a_bias_per_label_is_a_one_hot_label_beside_the_input(kind):
    model, (x, labels) = make(kind), some(kind)
    one_hot = nn.functional.one_hot(labels, model.n_labels).double()
    z = torch.randn(len(x), model.latent_dim).double()
    for body, into, out in (
        (model.encoder, x.flatten(1), model.given(labels)._through(model.encoder, x, x.dim() - 1)),
        (model.decoder, z, model.given(labels)._through(model.decoder, z, 1).flatten(1)),
    ):
        linear = [m for m in body.modules() if isinstance(m, nn.Linear)]
        weight = torch.cat((linear[0].weight, body.shift.T), dim=1)
        h = torch.cat((into, one_hot), dim=1) @ weight.T + linear[0].bias
        for layer in linear[1:]:
            h = layer(h.relu())
        torch.testing.assert_close(out, h, rtol=0, atol=1e-10)


def test_after_a_convolution_a_label_is_one_more_constant_channel_for_each():
    model, (x, labels) = make("conv"), some("conv")
    first = model.encoder.body[0]
    shifted = first(x) + model.encoder.shift[labels][:, :, None, None]
    expected = model.encoder.body[1:](shifted)
    out = model.given(labels)._through(model.encoder, x, 3)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", BODIES)
def test_told_one_label_or_one_for_each_datum_is_the_same(kind):
    model, (x, labels) = make(kind), some(kind)
    noise = torch.randn(4, len(x), model.latent_dim).double()  # any leading sample axes
    view = model.given(labels)
    q, p_x = view.encode(x), view.decode(noise)
    assert q.batch_shape == (len(x),) and p_x.batch_shape == (4, len(x))
    for b, label in enumerate(labels.tolist()):
        told = model.given(label)
        own = told.encode(x[b : b + 1])
        pairs = [
            (q.mean[b], own.mean[0]),
            (q.log_prob(noise)[:, b], own.log_prob(noise[:, b : b + 1])[:, 0]),
            (p_x.mean[:, b], told.decode(noise[:, b]).mean),
            (p_x.log_prob(x)[:, b], told.decode(noise[:, b]).log_prob(x[b])),
        ]
        for one, other in pairs:
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_told_one_label_it_is_an_ordinary_copy():
    model = make()
    told, before = model.given(3), model.decoder.shift.clone()
    assert not told.conditional and told.n_labels == 0 and told.given(5) is told
    plain = VAE(config(conditional=False)).double()
    plain.load_state_dict(told.state_dict())
    with torch.no_grad():
        for p in told.parameters():
            p.zero_()
    assert torch.equal(model.decoder.shift, before) and model.conditional
    assert (model.given(3).decode(torch.zeros(1, 2).double()).mean != 0.5).any()


def test_a_view_trains_the_models_own_weights_and_only_the_shifts_of_its_labels():
    model = make().requires_grad_(True)
    x, _ = some("mlp", 2)
    model.given(torch.tensor([4, 7])).log_weights(x, 3).sum().backward()
    for body in (model.encoder, model.decoder):
        touched = body.shift.grad.abs().sum(1) > 0
        assert touched.nonzero().flatten().tolist() == [4, 7]
    assert model.encoder.body[1][0].weight.grad.abs().sum() > 0
    assert model.labels is None, "the view is an object of its own"


def test_a_fresh_model_is_the_unconditional_one_under_every_label():
    torch.manual_seed(3)
    model = VAE(config())
    torch.manual_seed(3)
    plain = VAE(config(conditional=False))
    for label in (0, 9):
        told = model.given(label).state_dict()
        assert all(torch.equal(told[name], t) for name, t in plain.state_dict().items())


@pytest.mark.parametrize("kind", BODIES)
def test_without_a_label_nothing_is_answered(kind):
    model, (x, labels) = make(kind), some(kind)
    for ask in (
        lambda: model.encode(x),
        lambda: model.decode(torch.zeros(3, model.latent_dim).double()),
        lambda: model.log_weights(x, 2),
        lambda: model.encoder(x),
        lambda: latent.encode_set(model, x),
        lambda: exact.truth(VAE(config(latent_dim=2)), x.float()),
    ):
        with pytest.raises(ValueError, match=r"told no label: ask model\.given\(label\)"):
            ask()
    with pytest.raises(ValueError, match="12 labels were given for data of shape"):
        model.given(labels).encode(x[:5])
    for label in (-1, model.n_labels):
        with pytest.raises(ValueError, match=f"there is no label {label}: this model knows 0 to"):
            model.given(label)


@pytest.mark.parametrize("kind", BODIES)
def test_parameters_are_counted_with_those_of_the_labels(kind):
    model, c = VAE(config(kind)), config(kind)
    assert count_parameters(c) == sum(p.numel() for p in model.parameters())
    plain = c.model_copy(update={"conditional": False})
    width = sum(m.shift.shape[1] for m in model.children() if isinstance(m, Labelled))
    assert count_parameters(c) - count_parameters(plain) == c.n_labels * width > 0
    assert flops_per_datum(c) == flops_per_datum(plain), "an addition is no product"


# What it is worth


def test_each_datum_is_judged_under_its_own_label():
    """IWAE and the ELBO lie below quadrature by what chance allows; every one in its place."""
    c = config("mlp", hidden=(16,))
    model = make("mlp", hidden=(16,)).float()
    truth = evaluate.evaluate(model, c, "exact", n=40)
    assert truth.errors.max() < 1e-3 and truth.values.shape == (40,)
    x, labels = examples(c, n=40), labels_of(c, n=40)
    for i in (0, 7, 39):  # datum by datum, by hand
        alone = exact.truth(model.given(int(labels[i])), x[i : i + 1])
        assert abs(alone.log_evidence.item() - truth.values[i]) < 1e-4
    other = exact.truth(model.given(int(labels[0]) + 1), x[:1]).log_evidence.item()
    assert abs(other - truth.values[0]) > 0.1
    sampled = evaluate.evaluate(model, c, "is", k=2_000, n=40)
    trusted = sampled.about["trusted"]
    z = ((sampled.values - truth.values) / sampled.errors)[trusted]
    assert trusted.sum() > 10 and np.abs(z).max() < 4.5
    annealed = evaluate.evaluate(model, c, "ais", k=8, n=4, temperatures=60)
    assert np.abs(annealed.values - truth.values[:4]).max() < 1.0
    assert set(annealed.about) == {"ess", "acceptance", "trusted"}
    few = evaluate.evaluate(model, c, "is", k=50, n=9)
    many = evaluate.evaluate(model, c, "is", k=50, n=20)
    np.testing.assert_allclose(few.values, many.values[:9], rtol=1e-5)


def test_the_record_is_that_of_models_told_one_label(monkeypatch):
    monkeypatch.setattr(evaluate, "K_IWAE", 2)
    model, c = make().float(), config()
    x, labels = examples(c, n=600), labels_of(c, n=600)
    line = evaluate.record(model, {"held_out": x}, {"held_out": labels})["held_out"]
    rates = torch.empty(len(x))
    for label in range(10):
        told, mine = model.given(label), labels[: len(x)] == label
        rates[mine] = bounds.rate(told.encode(x[mine]), told.prior())
    assert line["rate"] == pytest.approx(rates.mean().item(), rel=1e-5)
    encoded = latent.encode_set(model, x, labels)
    np.testing.assert_allclose(encoded.rate, rates, rtol=1e-4, atol=1e-5)


def test_where_the_label_helps_the_bound_on_x_given_it_is_higher():
    """Eight groups on a circle: told which one, a model need not say it by z."""
    elbo = {}
    for told in (False, True):
        run_id = runs.create(
            RunConfig(
                dataset="gaussian-mixture",
                binarisation="none",
                likelihood="gaussian",
                hidden=(32,),
                latent_dim=1,
                batch_size=256,
                learning_rate=5e-3,
                epochs=4,
                evaluate_every=4,
                conditional=told,
            )
        )
        train(run_id)
        elbo[told] = runs.metrics(run_id)[-1]["held_out"]
    errors = [elbo[told]["elbo_se"] for told in elbo]
    gain = elbo[True]["elbo"] - elbo[False]["elbo"]
    assert gain > 5 * np.hypot(*errors)


# Training


def trained(**fields: Any) -> str:
    run_id = runs.create(config(epochs=2, **fields))
    train(run_id)
    return run_id


def left(run_id: str) -> tuple[list[dict], dict[str, Tensor]]:
    metrics = [{k: v for k, v in m.items() if k not in CLOCK} for m in runs.metrics(run_id)]
    tensors, _ = files.read_tensors(runs.folder(run_id) / "resume.safetensors")
    return metrics, tensors


def assert_same(one: str, other: str) -> None:
    (metrics, tensors), (expected_metrics, expected) = left(one), left(other)
    assert metrics == expected_metrics and tensors.keys() == expected.keys()
    assert all(torch.equal(tensors[name], t) for name, t in expected.items())


def test_the_seed_decides_everything_and_a_stop_changes_nothing(monkeypatch):
    whole, again, stopped = trained(), trained(), runs.create(config(epochs=2))
    assert "-cond-" in whole and runs.read_config(whole).conditional
    assert_same(whole, again)
    calls, real = [], training.objective

    def stop_soon(*args: object) -> Tensor:
        calls.append(1)
        if len(calls) == 5:
            runs.request_stop(stopped)
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(training, "objective", stop_soon)
        train(stopped)
    assert runs.status(stopped).state == "stopped" and 0 < runs.status(stopped).step < 12
    runs.requeue(stopped)
    train(stopped)
    assert_same(stopped, whole)


def test_the_shifts_learn_and_a_checkpoint_keeps_them():
    run_id = trained(objective="iwae", k=3)
    trainer = checkpoint.new_trainer(runs.read_config(run_id), CPU)
    assert checkpoint.restore(run_id, trainer)
    model = runs.load(run_id).model
    assert torch.equal(trainer.model.decoder.shift, model.decoder.shift)
    assert (model.decoder.shift.abs().sum(1) > 0).all()
    with pytest.raises(ValueError, match="told no label"):
        x = training_data(trainer.config, CPU)
        trainer.position = checkpoint.Position()
        run_epoch(trainer, x, lambda: False, lambda trainer: None)


def test_a_snapshot_holds_the_grid_of_every_label():
    run_id = trained()
    model = runs.load(run_id).model
    kept = [snapshots.read_snapshot(run_id, 2, label) for label in (0, 8)]
    x, labels = examples(config()), labels_of(config())
    np.testing.assert_allclose(kept[0].loc, latent.encode_set(model, x, labels).loc, atol=5e-3)
    side = latent.nodes(snapshots.GRID_NODES, snapshots.GRID_RADIUS)
    plane = latent.axes_plane(2, 0, 1)
    for label, found in zip((0, 8), kept, strict=True):
        grid = latent.mosaic(latent.decoded_grid(model.given(label), plane, side, side))
        assert found.grid == latent.webp(grid)
    assert np.array_equal(kept[0].labels, labels)
    with pytest.raises(runs.RunError, match="was not kept"):
        snapshots.read_snapshot(run_id, 2)


# What it is refused


def test_an_analysis_of_log_p_x_is_refused_in_a_sentence():
    run_id = trained(latent_dim=3)
    for ask in (Evidence(n=3, k=5), Gaps(n=3)):
        analysis.perform(run_id, ask.model_dump_json())
        failed = results.progress(run_id, ask)
        assert failed.state == "failed" and f"evaluate {run_id} --estimator iwae" in failed.reason
    analysis.perform(run_id, (means := Embedding(n=100)).model_dump_json())
    assert results.read(run_id, means) is not None, results.progress(run_id, means)


def test_results_kept_before_there_were_conditional_runs_are_found_again(monkeypatch):
    monkeypatch.delenv("VAE_RUNS")
    for name in ("digits-2d", "mnist-2d"):
        _, of_the_model = results.key(runs.load(name), Evidence()).split("-")
        assert [*(runs.folder(name) / "analysis").glob(f"*-{of_the_model}.safetensors")]
    c, model = config(), VAE(config())
    told = [runs.Run("r", c.model_copy(update={"conditional": y}), model, 1) for y in (False, True)]
    assert len({results.key(run, Evidence()) for run in told}) == 2


def test_a_linear_body_is_told_nothing():
    with pytest.raises(ConfigError, match="told no label"):
        read_config(
            '{"dataset": "digits", "body": "linear", "hidden": [], "likelihood": "gaussian", '
            '"binarisation": "none", "conditional": true}'
        )


@pytest.mark.parametrize("name", N_LABELS)
def test_the_numbers_of_labels_are_those_of_the_data(name):
    names = FILES[name].label_names if name in FILES else data.load(name).label_names
    assert len(names) == N_LABELS[name]
