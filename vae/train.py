"""The training loop, the only one: data on the device, no waiting, every epoch kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import torch
from filelock import Timeout
from torch import Tensor

from vae import bounds, checkpoint, data, recorder, runs
from vae.checkpoint import Position, Trainer, new_trainer
from vae.config import ConfigError, RunConfig
from vae.evaluate import N_ELBO, examples, labels_of, present
from vae.files import explain_os_error
from vae.model import VAE
from vae.outcome import Diverged, Outcome, outcome
from vae.runs import RunError, Status
from vae.schedule import beta_at, learning_rate_at
from vae.vqvae import VQVAE, initialise

#: Steps between two looks at the accumulated loss, which on a GPU make it wait.
CHECK_EVERY = 50
#: Seconds between two progress reports.
REPORT_EVERY = 0.5
#: Seconds to wait for a lock that others hold for an instant, to see whether a trainer has it.
LOCK_PATIENCE = 1.0


def objective(
    model: VAE | VQVAE, x: Tensor, config: RunConfig, beta: float, stage: int = 1
) -> Tensor:
    r"""What training maximises, averaged over a batch.

    .. math:: \mathbb{E}_q \log p(x \mid z) - \beta\, \mathrm{KL}(q \| p)
        \quad\text{or}\quad \log \tfrac1K \textstyle\sum_k w_k

    With β other than 1 this is not an ELBO; what is recorded always is. A VQ-VAE has objectives of
    its own: see ``VQVAE.objective``, and ``VQVAE.prior_objective`` for the second stage.

    Arguments:
        model: The model, told the labels of the batch if it is conditional.
        x: A batch, with shape (B, *event).
        config: Names the objective, and K.
        beta: The weight of the rate.
        stage: 2 once only the prior over codes is trained.

    Returns:
        A scalar, in nats.

    Raises:
        Nothing of its own.

    Source:
        Kingma & Welling 2014, eq. 10; Higgins et al. 2017 (β); Burda et al. 2016, eq. 8 (IWAE).

    Example:
        >>> config = RunConfig(dataset="digits", hidden=(16,))
        >>> objective(VAE(config), torch.zeros(4, 1, 8, 8), config, beta=1.0).shape
        torch.Size([])
    """
    if isinstance(model, VQVAE):
        return model.objective(x) if stage == 1 else model.prior_objective(x)
    if config.objective == "iwae":
        return bounds.iwae(model.log_weights(x, config.k)).mean()
    q = model.encode(x)
    z = q.rsample()
    distortion = bounds.distortion(model.decode(z), x)
    return -(distortion + beta * bounds.rate(q, model.prior(), z)).mean()


def choose_device(config: RunConfig) -> torch.device:
    """The device a configuration asks for.

    Raises:
        ConfigError: If it asks for CUDA and there is none.
    """
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "This run asks for a CUDA device and PyTorch sees none: set device to auto or cpu."
        )
    cuda = config.device != "cpu" and torch.cuda.is_available()
    return torch.device("cuda" if cuda else "cpu")


def training_data(config: RunConfig, device: torch.device) -> Tensor:
    """The training set on the device, as uint8 (or float32 points); drawn once if fixed."""
    images = torch.from_numpy(data.load(config.dataset).train)
    if config.binarisation == "fixed":
        generator = torch.Generator().manual_seed(config.seed)
        images = data.binarise(images, generator).mul_(255).to(torch.uint8)
    return images.to(device)


def run_epoch(
    trainer: Trainer,
    x: Tensor,
    should_stop: Callable[[], bool],
    report: Callable[[Trainer], None],
    labels: Tensor | None = None,
) -> bool:
    """Trains until the epoch ends or ``should_stop()``, which is asked before every batch.

    The order of the data and all noise follow from (seed, epoch), so an epoch can be repeated.

    Arguments:
        trainer: Changed in place; its position moves on with every batch.
        x: The training set on the device, as ``training_data`` gives it.
        should_stop: Called before each batch; true ends the epoch there.
        report: Called with the trainer after some batches.
        labels: Those of the training set, on the device; only a conditional model is told them.

    Returns:
        Whether the epoch was finished.

    Raises:
        Diverged: If the loss is no longer finite.

    Source:
        Kingma & Welling 2014, algorithm 1, with Adam.

    Example:
        >>> config = RunConfig(dataset="digits", hidden=(16,))
        >>> trainer = new_trainer(config, torch.device("cpu"))
        >>> x = training_data(config, torch.device("cpu"))
        >>> run_epoch(trainer, x, should_stop=lambda: False, report=lambda trainer: None)
        True
        >>> trainer.position.epoch
        1
    """
    config, model, optimiser = trainer.config, trainer.model, trainer.optimiser
    epoch, first, seconds = trainer.position
    seed = (config.seed * 10_007 + epoch + 1) * 2
    if first == 0:
        torch.manual_seed(seed)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed + 1)).to(x.device)
    batches = order.split(config.batch_size)
    parameters = list(model.parameters())
    stage = 1 if epoch < config.epochs else 2
    (group,) = optimiser.param_groups
    binarisation = "dynamic" if config.binarisation == "dynamic" else "none"
    total = torch.zeros((), device=x.device)
    started = reported = time.monotonic()

    for step in range(first, len(batches)):
        if should_stop():
            _require_finite(total, parameters)
            return False
        now = epoch + step / len(batches)
        group["lr"] = learning_rate_at(config, now)
        batch = present(x.index_select(0, batches[step]), binarisation)
        told = model
        if config.conditional and labels is not None:
            told = model.given(labels.index_select(0, batches[step]))
        loss = -objective(told, batch, config, beta_at(config, now), stage)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, config.max_grad_norm)
        optimiser.step()
        total += loss.detach()
        trainer.position = Position(epoch, step + 1, seconds + time.monotonic() - started)
        if (step + 1) % CHECK_EVERY == 0:
            _require_finite(total, parameters)
        if time.monotonic() - reported > REPORT_EVERY:
            reported = time.monotonic()
            report(trainer)

    _require_finite(total, parameters)
    trainer.position = Position(epoch + 1, 0, seconds + time.monotonic() - started)
    return True


def _require_finite(total: Tensor, parameters: list[Tensor]) -> None:
    """Nothing that is not a number may reach a checkpoint."""
    norm = torch.stack(torch._foreach_norm(parameters)).sum()
    if not math.isfinite((total + norm).item()):
        raise Diverged


def train(run_id: str) -> None:
    """Trains a run in its folder to the end, from the start or from where it was left.

    Every outcome is written into the folder's status: finished, stopped, diverged or failed with
    a reason. Nothing happens if somebody else is training the run.

    Arguments:
        run_id: A run made by ``runs.create``, or one that ended early.

    Raises:
        RunError: If there is no such run, or it is read-only, and no status can be written.

    Source:
        The folder layout is described in ``runs``.

    Example:
        >>> import tempfile, os
        >>> os.environ["VAE_RUNS"] = tempfile.mkdtemp()
        >>> run_id = runs.create(RunConfig(dataset="digits", hidden=(8,), epochs=1))
        >>> train(run_id)
        >>> runs.status(run_id).state
        'finished'
    """
    runs.refuse_shipped(run_id)
    runs.folder(run_id)
    try:
        with runs.lock(run_id).acquire(timeout=LOCK_PATIENCE):
            if runs.status(run_id).state != "finished":
                _train_and_say_how_it_ended(run_id)
    except Timeout:
        return
    except OSError as error:
        raise RunError(f"{run_id} cannot be trained. {explain_os_error(error)}") from error


def _train_and_say_how_it_ended(run_id: str) -> None:
    """Writes the end of a training into its status."""
    ended = outcome(lambda: _train(run_id))
    try:
        runs.set_status(run_id, *ended)
    except RunError:
        return  # it was deleted while it trained
    except OSError:
        return  # a full disk: the status stays “running”, and the next start marks it


def _train(run_id: str) -> Outcome:
    """The life of a run, from data to its last checkpoint."""
    torch.set_flush_denormal(True)
    config = runs.read_config(run_id)
    path = runs.folder(run_id)
    for unfinished in path.rglob(".*.safetensors.*.tmp"):  # of a trainer that was killed
        unfinished.unlink()
    device = choose_device(config)
    x = training_data(config, device)
    steps = math.ceil(len(x) / config.batch_size)
    sets = {s: examples(config, s, N_ELBO).to(device) for s in ("train", "held_out")}
    labels = {s: labels_of(config, s).to(device) for s in sets}
    trainer = new_trainer(config, device)
    resumed = checkpoint.restore(run_id, trainer)

    def should_stop() -> bool:
        return (path / "stop").exists() or not path.exists()

    def report(trainer: Trainer, *, durable: bool = False) -> None:
        epoch, step, seconds = trainer.position
        done = (epoch * steps + step) * config.batch_size
        rate = done / seconds if seconds else 0.0
        status = Status("running", "", epoch, config.all_epochs, step, steps, rate, seconds)
        runs.write_status(run_id, status, durable=durable)

    report(trainer, durable=True)
    if not resumed:
        if config.is_vq and config.quantiser == "vq":
            initialise(trainer.model, sets["train"], config)
        runs.forget_metrics_after(run_id, -1)
        recorder.record(run_id, trainer, sets, labels, rate=0.0)
        checkpoint.save(run_id, trainer)
    while trainer.position.epoch < config.all_epochs:
        before = trainer.position
        if not run_epoch(trainer, x, should_stop, report, labels["train"]):
            if not path.exists():
                return "stopped", "It was deleted while it trained, and restored; resume it."
            checkpoint.save(run_id, trainer)
            report(trainer)
            return "stopped", "Stopped by hand; resume it to go on."
        after = trainer.position
        rate = (len(x) - before.step * config.batch_size) / (after.seconds - before.seconds)
        ends = (config.epochs, config.all_epochs)
        if after.epoch % config.evaluate_every == 0 or after.epoch in ends:
            recorder.record(run_id, trainer, sets, labels, rate)
        checkpoint.save(run_id, trainer)
        report(trainer)
    return "finished", ""
