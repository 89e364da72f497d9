r"""The linear-Gaussian VAE, probabilistic PCA: a model whose every answer has a closed form.

.. math:: p(z) = \mathcal{N}(0, I), \qquad p(x \mid z) = \mathcal{N}(W z + \mu, \sigma^2 I)

Its posterior, its log p(x) and its best parameters are known, so every estimator can be judged
on it. All of it is computed in float64, whatever the model's own precision.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from vae.families import Diagonal, Full
from vae.model import VAE
from vae.nn import AffineEncoder


class Parameters(NamedTuple):
    """W (d, D), μ (d) and σ () of a linear-Gaussian model, float64; d pixels in flat order."""

    weight: Tensor
    mean: Tensor
    scale: Tensor


def is_linear(model: VAE) -> bool:
    """Whether a model is linear-Gaussian, so that the closed forms of this file hold for it.

    Example:
        >>> from vae.presets import PRESETS
        >>> is_linear(VAE(PRESETS["digits-linear-2d"])), is_linear(VAE(PRESETS["digits-2d"]))
        (True, False)
    """
    return isinstance(model.encoder, AffineEncoder)


def parameters(model: VAE) -> Parameters:
    """The generative parameters of a linear-Gaussian model.

    Arguments:
        model: A model with the linear body.

    Returns:
        Weight, mean and scale, float64.

    Raises:
        ValueError: If the model is not linear.

    Example:
        >>> from vae.presets import PRESETS
        >>> parameters(VAE(PRESETS["digits-linear-2d"])).weight.shape
        torch.Size([64, 2])
    """
    if not is_linear(model):
        raise ValueError("only a model with the linear body has a closed form: see body in its run")
    layer = model.decoder[0][0]
    tensors = (layer.weight, layer.bias, model.log_scale)
    weight, mean, log_scale = (t.detach().double() for t in tensors)
    return Parameters(weight, mean, log_scale.exp())


def posterior(model: VAE, x: Tensor) -> MultivariateNormal:
    r"""The true posterior p(z given x) of a linear-Gaussian model, a normal.

    .. math:: p(z \mid x) = \mathcal{N}(M^{-1} W^\top (x - \mu),\; \sigma^2 M^{-1}),
        \qquad M = W^\top W + \sigma^2 I

    Arguments:
        model: A model with the linear body.
        x: Data, with shape (N, *event).

    Returns:
        A normal with batch shape (N) and event shape (D), float64; one covariance for all data.

    Raises:
        ValueError: If the model is not linear.

    Source:
        Tipping & Bishop 1999, Probabilistic Principal Component Analysis, section 3.

    Example:
        >>> from vae.presets import PRESETS
        >>> posterior(VAE(PRESETS["digits-linear-2d"]), torch.zeros(5, 1, 8, 8)).loc.shape
        torch.Size([5, 2])
    """
    weight, mean, scale = parameters(model)
    gain, covariance = _gain_and_covariance(weight, scale)
    loc = (x.flatten(1).double() - mean) @ gain.T
    return MultivariateNormal(loc, covariance, validate_args=False)


def log_evidence(model: VAE, x: Tensor) -> Tensor:
    r"""log p(x) of a linear-Gaussian model, exact.

    .. math:: \log p(x) = \log \mathcal{N}(x; \mu, W W^\top + \sigma^2 I)

    Arguments:
        model: A model with the linear body.
        x: Data, with shape (N, *event).

    Returns:
        The log-evidence of each datum, with shape (N), float64, in nats.

    Raises:
        ValueError: If the model is not linear.

    Source:
        Tipping & Bishop 1999, section 3.1; the D by D matrix M stands in for the d by d one.

    Example:
        >>> from vae.presets import PRESETS
        >>> log_evidence(VAE(PRESETS["digits-linear-2d"]), torch.zeros(5, 1, 8, 8)).shape
        torch.Size([5])
    """
    weight, mean, scale = parameters(model)
    gain, covariance = _gain_and_covariance(weight, scale)
    centred = x.flatten(1).double() - mean
    z = centred @ gain.T  # the posterior mean, where log p(x, z) is highest
    energy = ((centred - z @ weight.T) / scale).square().sum(1) + z.square().sum(1)
    log_det = 2 * len(mean) * scale.log() - covariance.logdet()  # of W Wᵀ + σ² I
    return -0.5 * (len(mean) * math.log(2 * math.pi) + log_det + energy)


def optimum(x: Tensor, latent_dim: int, scale: float | None = None) -> Parameters:
    r"""The parameters of highest likelihood: principal axes, and what they leave over as noise.

    .. math:: \hat W = U (\Lambda - \sigma^2 I)_+^{1/2}, \qquad
        \hat\sigma^2 = \frac{1}{d - D} \textstyle\sum_{i > D} \lambda_i

    U and Λ are the leading eigenvectors and eigenvalues λ of the data's covariance. Any rotation
    of W's columns does as well; here they are orthogonal, so that a diagonal q can be exact. Under
    a given noise σ a direction with λ ≤ σ² collapses: its column is zero and its latent unused.

    Arguments:
        x: Data, with shape (N, *event).
        latent_dim: The number of latent dimensions D, less than the d numbers of a datum.
        scale: The noise σ if it is given; its best value if not.

    Returns:
        Weight, mean and scale, float64.

    Raises:
        ValueError: If D is not less than d, or the data leave no noise for σ.

    Source:
        Tipping & Bishop 1999, section 3.2; the collapse: Lucas et al. 2019, section 4.

    Example:
        >>> weight, mean, scale = optimum(torch.tensor([[1.0, 3.0], [1.0, -3.0], [2.0, 0.0]]), 1)
        >>> weight.abs(), scale
        (tensor([[0.0000], [2.4037]], dtype=torch.float64), tensor(0.4714, dtype=torch.float64))
    """
    flat = x.flatten(1).double()
    d = flat.shape[1]
    if latent_dim >= d:
        raise ValueError(
            f"data of {d} numbers leave no noise beside {latent_dim} latent dimensions: "
            f"choose fewer than {d}"
        )
    mean = flat.mean(0)
    eigenvalues, vectors = torch.linalg.eigh((flat - mean).T @ (flat - mean) / len(flat))
    eigenvalues, vectors = eigenvalues.flip(0).clamp(min=0), vectors.flip(1)
    variance = eigenvalues[latent_dim:].mean() if scale is None else flat.new_tensor(scale**2)
    if not variance > 1e-12 * eigenvalues[0]:
        raise ValueError(
            f"{latent_dim} latent dimensions explain these data without a rest, and the "
            "likelihood has no highest value: choose fewer, or more data"
        )
    stretch = (eigenvalues[:latent_dim] - variance).clamp(min=0).sqrt()
    return Parameters(vectors[:, :latent_dim] * stretch, mean, variance.sqrt())


@torch.no_grad()
def set_parameters(model: VAE, weight: Tensor, mean: Tensor, scale: Tensor) -> None:
    """Gives a linear model its decoder, and the best encoder of its family for that decoder.

    The full family holds the exact posterior always; the diagonal one if the columns of the weight
    are orthogonal, and otherwise the nearest: the exact mean, and scales that are too small.

    Arguments:
        model: A model with the linear body and family diagonal or full; changed in place.
        weight: W, with shape (d, D).
        mean: μ, with shape (d).
        scale: σ, with shape ().

    Raises:
        ValueError: If the model is not linear, or its family is a flow.

    Source:
        Bishop 2006, Pattern Recognition and Machine Learning, section 10.1.2, for the diagonal q
        with the least divergence: the inverse of its variances is the precision's diagonal.

    Example:
        >>> from vae.presets import PRESETS
        >>> model, x = VAE(PRESETS["digits-linear-2d"]).double(), torch.rand(9, 1, 8, 8).double()
        >>> set_parameters(model, *optimum(x, 2))
        >>> gap = log_evidence(model, x) - model.log_weights(x, K=1)  # for any draw
        >>> bool((gap.abs() < 1e-10).all())
        True
    """
    parameters(model)
    weight, mean, scale = (torch.as_tensor(t).detach().double() for t in (weight, mean, scale))
    gain, covariance = _gain_and_covariance(weight, scale)
    if isinstance(model.family, Diagonal):
        constant = -0.5 * covariance.inverse().diagonal().log()
    elif isinstance(model.family, Full):
        tril = torch.linalg.cholesky(covariance)
        rows, columns = torch.tril_indices(*tril.shape, offset=-1)
        constant = torch.cat((tril.diagonal().log(), tril[rows, columns]))
    else:
        raise ValueError(
            "a flow has no closed form for its encoder: choose family diagonal or full"
        )
    model.decoder[0][0].weight.copy_(weight)
    model.decoder[0][0].bias.copy_(mean)
    model.log_scale.copy_(scale.log())
    model.encoder.affine.weight.copy_(gain)
    model.encoder.affine.bias.copy_(-gain @ mean)
    model.encoder.constant.copy_(constant)


def _gain_and_covariance(weight: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """How the posterior mean follows x, with shape (D, d), and the posterior covariance (D, D)."""
    identity = torch.eye(weight.shape[1], dtype=weight.dtype, device=weight.device)
    inverse = (weight.T @ weight + scale**2 * identity).inverse()
    return inverse @ weight.T, scale**2 * inverse
