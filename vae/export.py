"""A run for other tools: TensorBoard, the Embedding Projector, and whatever reads ONNX."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path

import torch
from tensorboardX import SummaryWriter
from torch import Tensor, nn

from vae import data, latent, runs
from vae.evaluate import examples, labels_of
from vae.files import write_bytes
from vae.model import VAE
from vae.runs import Run

#: Points in the Embedding Projector, which takes one sprite of at most 8192 pixels a side.
N_POINTS = 10_000
#: Ends the names of the event files written here, so that a second export replaces the first.
EVENTS = ".elbo-room"
#: What is recorded for each split; a curve each.
CURVES = ("elbo", "rate", "distortion", "iwae", "active_units")
CURVES += ("elbo_uniform", "bits_per_dim", "squared_error", "commitment", "codebook")
#: And for each level of codes.
OF_LEVELS = ("perplexity", "usage", "dead", "batch_perplexity", "batch_usage")


class ExportError(Exception):
    """An export that cannot be made, in one sentence for a person."""


def tensorboard(run: Run, folder: Path) -> list[Path]:
    """Writes the curves of a run as TensorBoard events: ``tensorboard --logdir FOLDER``.

    The axis *step* counts optimiser steps, *relative* counts seconds of training; the scalar
    ``epoch`` translates.

    Arguments:
        run: The run.
        folder: An existing folder; events that were exported there before are replaced.

    Returns:
        The file.

    Raises:
        ExportError: If nothing was recorded yet.
        OSError: If the folder may not be written.

    Source:
        tensorboardX, which writes TensorBoard's format without TensorBoard.
    """
    records = runs.metrics(run.id)
    if not records:
        raise ExportError(f"{run.id} has no curves yet: nothing was recorded.")
    for old in folder.glob(f"events.out.tfevents.*{EVENTS}"):
        old.unlink()
    start = (runs.folder(run.id) / "config.json").stat().st_mtime
    with SummaryWriter(str(folder), filename_suffix=EVENTS) as writer:
        for record in records:
            at = {"global_step": record["step"], "walltime": start + record["seconds"]}
            for name in ("epoch", "learning_rate", "beta", "samples_per_second"):
                writer.add_scalar(name, record[name], **at)
            for split in ("train", "held_out"):
                for name in filter(record[split].__contains__, CURVES):
                    writer.add_scalar(f"{name}/{split}", record[split][name], **at)
                for axis, rate in enumerate(record[split].get("rates", ()), start=1):
                    writer.add_scalar(f"rate_z{axis}/{split}", rate, **at)
                for name in filter(record[split].__contains__, OF_LEVELS):
                    for level, value in enumerate(record[split][name], start=1):
                        writer.add_scalar(f"{name}_level{level}/{split}", value, **at)
    return sorted(folder.glob(f"events.out.tfevents.*{EVENTS}"))


def projector(run: Run, folder: Path) -> list[Path]:
    """Writes the means of held-out data for the Embedding Projector.

    Arguments:
        run: The run.
        folder: An existing folder.

    Returns:
        The files: ``vectors.tsv``, ``metadata.tsv``, ``sprite.png`` (for images) and the
        configuration with which TensorBoard finds them.

    Raises:
        DataError: If the data set cannot be had.
        OSError: If the folder may not be written.

    Source:
        TensorBoard's projector plugin: no header over vectors, one over metadata of more than one
        column, and as many pictures in a row of the sprite as in a column.
    """
    dataset = data.at_hand(run.config.dataset)
    x = examples(run.config, "held_out", N_POINTS)
    encoded = latent.encode_set(run.model, x, labels_of(run.config, "held_out", len(x)))
    vectors = "".join("\t".join(f"{v:.6g}" for v in row) + "\n" for row in encoded.loc)
    names = [dataset.label_names[label] for label in dataset.held_out_labels[: len(x)]]
    columns = zip(range(len(x)), names, encoded.rate, encoded.elbo, strict=True)
    metadata = "index\tlabel\trate\telbo\n" + "".join(
        f"{index}\t{name}\t{rate:.4f}\t{elbo:.4f}\n" for index, name, rate, elbo in columns
    )
    contents = {"vectors.tsv": vectors.encode(), "metadata.tsv": metadata.encode()}
    lines = [f'tensor_name: "{run.id}"', 'tensor_path: "vectors.tsv"']
    lines += ['metadata_path: "metadata.tsv"']
    if dataset.held_out.ndim == 4:
        height, width = dataset.held_out.shape[2:]
        contents["sprite.png"] = latent.png(latent.in_square(dataset.held_out[: len(x), 0]))
        lines += ['sprite { image_path: "sprite.png"']
        lines += [f"  single_image_dim: {width} single_image_dim: {height} }}"]
    config = "embeddings {\n" + "".join(f"  {line}\n" for line in lines) + "}\n"
    contents["projector_config.pbtxt"] = config.encode()
    return _write(folder, contents)


class MeanDecoder(nn.Module):
    """The decoder alone: from latents (N, D) to the mean of p(x given z), with shape (N, *event).

    A conditional one takes the labels (N) as well.

    Example:
        >>> from vae.config import RunConfig
        >>> MeanDecoder(VAE(RunConfig(dataset="digits", hidden=(8,))))(torch.zeros(3, 2)).shape
        torch.Size([3, 1, 8, 8])
    """

    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The mean picture, or point, of each latent."""
        return (self.model if y is None else self.model.given(y)).decode(z).mean


def onnx(run: Run, folder: Path) -> list[Path]:
    """Writes the decoder as ONNX, from ``z`` (n, D) to ``mean`` (n, *event) for any n; that of a
    conditional run takes the labels ``y``, int64 with shape (n), too.

    Arguments:
        run: The run.
        folder: An existing folder.

    Returns:
        The file.

    Raises:
        ExportError: If the packages for it are not installed.
        OSError: If the folder may not be written.

    Source:
        ``torch.onnx.export`` by way of ``torch.export``, the way that PyTorch keeps.
    """
    missing = [name for name in ("onnx", "onnxscript") if find_spec(name) is None]
    if missing:
        raise ExportError(f"ONNX needs more packages: pip install {' '.join(missing)}")
    names, sample = ["z"], [torch.zeros(2, run.config.latent_dim)]
    if run.config.conditional:
        names, sample = ["z", "y"], [*sample, torch.zeros(2, dtype=torch.long)]
    n = torch.export.Dim("n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's exporter uses what PyTorch deprecated
        program = torch.onnx.export(
            MeanDecoder(run.model).eval(),
            tuple(sample),
            dynamo=True,
            verbose=False,
            input_names=names,
            output_names=["mean"],
            dynamic_shapes=tuple({0: n} for _ in names),
        )
    return _write(folder, {"decoder.onnx": program.model_proto.SerializeToString()})


def _write(folder: Path, contents: dict[str, bytes]) -> list[Path]:
    """Writes files by name, each in one step."""
    for name, content in contents.items():
        write_bytes(folder / name, content)
    return [folder / name for name in contents]
