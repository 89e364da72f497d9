"""A run as a plain PyTorch script beside its weights, for who wants the model and not the app."""

from __future__ import annotations

from pathlib import Path

import safetensors.torch
from torch import nn

from vae.export import ExportError
from vae.files import write_bytes
from vae.labelled import Labelled
from vae.nn import AffineEncoder
from vae.runs import Run

_HEAD = '''\
"""The variational autoencoder {run}, as ELBO Room trained it on {dataset} ({epoch} epochs).

Needs torch, safetensors and pillow, and weights.safetensors beside this file. Run it to decode a
grid of latents into grid.png; import it for `load()`.
"""

from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn
from torch.distributions import {distribution}

FOLDER = Path(__file__).parent
LATENT_DIM = {latent_dim}


{classes}class VAE(nn.Module):
    """p(x, z) = N(z; 0, I) p(x given z), and its encoder q(z given x){of_label}."""

    def __init__(self):
        super().__init__()
        self.encoder = {encoder}
        self.decoder = {decoder}
{parameter}
    def encode(self, x{y}):
        """q(z given x) of data with shape (N, {shape}){and_labels}."""
{posterior}
    def decode(self, z{y}):
        """p(x given z) of latents with shape (N, LATENT_DIM){and_labels}."""
        return {likelihood}


def load():
    """The trained model."""
    model = VAE()
    model.load_state_dict(load_file(FOLDER / "weights.safetensors"))
    return model.eval()


@torch.no_grad()
def decode_grid(model, n=15, radius=3.0{label}):
    """The means of n by n latents in the plane of the first two dimensions, as one picture."""
    side = torch.linspace(-radius, radius, n)
    z = torch.zeros(n, n, LATENT_DIM)
    z[..., 0] = side
    z[..., 1:2] = side.flip(0)[:, None, None]
    x = model.decode(z.reshape(n * n, LATENT_DIM){told}).mean
'''

_PICTURES = """\
    grey = (x.clamp(0, 1) * 255).round().to(torch.uint8)
    return grey.reshape(n, n, {height}, {width}).swapaxes(1, 2).reshape(n * {height}, n * {width})
"""

_POINTS = """\
    column, row = ((x + 4) / 8 * 255).round().long().clamp(0, 255).T
    picture = torch.zeros(256, 256, dtype=torch.uint8)
    picture[255 - row, column] = 255
    return picture
"""

_FOOT = """

if __name__ == "__main__":
    Image.fromarray(decode_grid(load()).numpy()).save(FOLDER / "grid.png")
"""

#: For each likelihood: its class, and p(x given z) as the script writes it.
_LIKELIHOODS = {
    "bernoulli": ("Bernoulli", "Bernoulli(logits=self.decoder(z{y}))"),
    "continuous-bernoulli": (
        "ContinuousBernoulli",
        "ContinuousBernoulli(logits=self.decoder(z{y}))",
    ),
    "gaussian": ("Normal", "Normal(self.decoder(z{y}), self.log_scale.exp())"),
}

#: For each family: its class, and q(z given x) as the script writes it.
_FAMILIES = {
    "diagonal": (
        "Normal",
        """\
        loc, log_scale = self.encoder(x{y}).chunk(2, dim=-1)
        return Normal(loc, log_scale.exp())
""",
    ),
    "full": (
        "MultivariateNormal",
        """\
        out = self.encoder(x{y})
        loc, log_scale = out[:, : 2 * LATENT_DIM].chunk(2, dim=-1)
        tril = log_scale.exp().diag_embed()
        rows, columns = torch.tril_indices(LATENT_DIM, LATENT_DIM, offset=-1)
        tril[:, rows, columns] = out[:, 2 * LATENT_DIM :]
        return MultivariateNormal(loc, scale_tril=tril)
""",
    ),
}

_AFFINE = '''\
class AffineEncoder(nn.Module):
    """The first outputs are affine in x, the others constants."""

    def __init__(self, n_in, n_affine, n_constant):
        super().__init__()
        self.affine = nn.Linear(n_in, n_affine)
        self.constant = nn.Parameter(torch.zeros(n_constant))

    def forward(self, x):
        moving = self.affine(x.flatten(1))
        return torch.cat((moving, self.constant.expand(len(x), -1)), dim=1)


'''

_LABELLED = '''\
class Labelled(nn.Module):
    """Layers of which the first that computes is told labels: each shifts what it answers."""

    def __init__(self, body, n_labels, width):
        super().__init__()
        self.body = body
        self.shift = nn.Parameter(torch.zeros(n_labels, width))

    def forward(self, x, y):
        layers = [m for m in self.body.modules() if not isinstance(m, nn.Sequential)]
        first = next(m for m in layers if isinstance(m, (nn.Linear, nn.Conv2d)))
        for layer in layers:
            x = layer(x)
            if layer is first:
                x = x + self.shift[y].reshape(*x.shape[:2], *[1] * (x.dim() - 2))
        return x


'''


def script(run: Run, folder: Path) -> list[Path]:
    """Writes a run as ``model.py`` and ``weights.safetensors``.

    Arguments:
        run: The run.
        folder: An existing folder.

    Returns:
        The files.

    Raises:
        ExportError: If the run's posterior is a flow, which needs more than a script.
        OSError: If the folder may not be written.
    """
    if run.config.family not in _FAMILIES:
        raise ExportError(
            f"{run.id} has a flow as its posterior, which takes more code than a script of its own "
            "holds: export its decoder with --to onnx, or open the run with vae.runs.load."
        )
    files = [folder / "weights.safetensors", folder / "model.py"]
    write_bytes(files[0], safetensors.torch.save(run.model.state_dict()))
    write_bytes(files[1], source(run).encode())
    return files


def source(run: Run) -> str:
    """The text of the script.

    Arguments:
        run: The run, of a family other than flow; only its id, configuration and the layers of
            its model matter here.

    Returns:
        Python, which needs torch, safetensors and pillow.

    Example:
        >>> from vae.config import RunConfig
        >>> from vae.model import VAE
        >>> config = RunConfig(dataset="digits", hidden=(16,))
        >>> text = source(Run("digits-2d-0a1b", config, VAE(config), epoch=20))
        >>> "nn.Linear(in_features=2, out_features=16, bias=True)," in text
        True
    """
    config, shape = run.config, run.config.shape
    (of_x, likelihood), (of_z, posterior) = (
        _LIKELIHOODS[config.likelihood],
        _FAMILIES[config.family],
    )
    conditional = config.conditional
    y = ", y" if conditional else ""
    scale = "        self.log_scale = nn.Parameter(torch.zeros(()))\n"
    picture = _POINTS if len(shape) == 1 else _PICTURES.format(height=shape[1], width=shape[2])
    head = _HEAD.format(
        run=run.id,
        dataset=config.dataset,
        epoch=run.epoch,
        distribution=", ".join(sorted({of_x, of_z})),
        latent_dim=config.latent_dim,
        encoder=_layers(run.model.encoder, " " * 8),
        decoder=_layers(run.model.decoder, " " * 8),
        parameter=scale if config.likelihood == "gaussian" else "",
        classes=(_AFFINE if config.body == "linear" else "") + _LABELLED * conditional,
        of_label=", both told the label" * conditional,
        y=y,
        and_labels=" and labels with shape (N)" * conditional,
        label=", label=0" * conditional,
        told=", torch.full((n * n,), label)" * conditional,
        posterior=posterior.format(y=y),
        shape=", ".join(map(str, shape)),
        likelihood=likelihood.format(y=y),
    )
    return head + picture + _FOOT


def _layers(module: nn.Module, indent: str) -> str:
    """The Python that makes a module: PyTorch prints its layers as one would write them."""
    if isinstance(module, AffineEncoder):
        n_in, n_affine = module.affine.in_features, module.affine.out_features
        return f"AffineEncoder({n_in}, {n_affine}, {len(module.constant)})"
    if isinstance(module, Labelled):
        n_labels, width = module.shift.shape
        return f"Labelled({_layers(module.body, indent)}, {n_labels}, {width})"
    if not isinstance(module, nn.Sequential):
        return f"nn.{module!r}"
    inner = indent + "    "
    layers = "".join(f"{inner}{_layers(layer, inner)},\n" for layer in module)
    return f"nn.Sequential(\n{layers}{indent})"
