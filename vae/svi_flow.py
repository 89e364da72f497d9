r"""One normalising flow for each datum by itself, around a Gaussian.

.. math:: z = m + L\, T(\varepsilon), \qquad \varepsilon \sim \mathcal{N}(0, I)

m and L begin at the datum's best Gaussian and T at the identity, so the flow starts where the
Gaussian ended and can only do better. T is the flow of ``vae.flow``, with weights of its own for
every datum; all data are bent in one batch.
"""

from __future__ import annotations

from functools import lru_cache, partial
from types import SimpleNamespace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Independent
from torch.func import functional_call, vmap

from vae.families import covariance, moments
from vae.flow import CONTEXT, Flow, FlowPosterior
from vae.model import VAE
from vae.svi_target import log_joint, mirrored, tiles

#: Samples a step, the first length of a step in up to two latent dimensions (with more it is
#: shorter in proportion), and after how many steps it is half as long.
SAMPLES, RATE, HALF_LIFE = 64, 0.03, 200
#: Adam's decay of its two moments, and what keeps it from dividing by zero.
BETAS, EPSILON = (0.9, 0.999), 1e-8


class State(NamedTuple):
    """Flows of N data: what they stand on, their parameters, and Adam's moments of these.

    ``loc`` (N, D) and ``tril`` (N, D, D) stay; ``parameters`` (N, P) are a shift and a log-scale
    in their units, a context, and the weights of T; ``elbo`` (N), float64, in nats, is a noisy
    one, that of the samples of the last step.
    """

    loc: Tensor
    tril: Tensor
    parameters: Tensor
    first: Tensor
    second: Tensor
    elbo: Tensor
    seed: int
    n_steps: int


class Info(NamedTuple):
    """A step: the ELBO where it set out (N), noisy, in nats."""

    elbo: Tensor


class DatumFlows(FlowPosterior):
    """z = loc + tril · T(ε), with a T of its own for each of N data.

    Arguments:
        loc: With shape (N, D).
        tril: Lower triangular, with a positive diagonal, with shape (N, D, D).
        weights: Contexts and weights of T, with shape (N, P - 2 D).

    Example:
        >>> q = DatumFlows(torch.zeros(3, 2), torch.eye(2).expand(3, 2, 2), identity(3, 2))
        >>> bool((q.log_prob(torch.zeros(5, 3, 2)) + 1.8379).abs().max() < 1e-4)
        True
    """

    def __init__(self, loc: Tensor, tril: Tensor, weights: Tensor) -> None:
        scale = tril.diagonal(dim1=-2, dim2=-1)
        super().__init__(loc, scale, weights, partial(_Bend, tril / scale.unsqueeze(-1)))
        self.tril, self.weights = tril, weights

    def __getitem__(self, index: slice | Tensor) -> DatumFlows:
        """The flows of some of the data."""
        return DatumFlows(self.loc[index], self.tril[index], self.weights[index])


def init(model: VAE, x: Tensor, loc: Tensor, tril: Tensor, *, seed: int = 0) -> State:
    """Flows that begin as given Gaussians, exactly.

    Arguments:
        model: The model.
        x: Data, with shape (N, *event).
        loc: Means, with shape (N, D).
        tril: Cholesky factors of covariances, with shape (N, D, D).
        seed: Seed of the samples, which are the same for all data.

    Returns:
        The state.

    Raises:
        ValueError: If the shapes do not fit.

    Source:
        Cremer et al. 2018, Inference Suboptimality in Variational Autoencoders, fit flows per
        datum.

    Example:
        >>> from vae.config import RunConfig
        >>> model, x = VAE(RunConfig(dataset="digits", hidden=(16,))), torch.zeros(5, 1, 8, 8)
        >>> state = init(model, x, torch.zeros(5, 2), torch.eye(2).expand(5, 2, 2))
        >>> distribution(state).batch_shape
        torch.Size([5])
    """
    if len(x) != len(loc) or loc.shape[1:] != (model.latent_dim,):
        raise ValueError(
            f"there are {len(x)} data in {model.latent_dim} latent dimensions, and the means have "
            f"shape {tuple(loc.shape)}: give one mean for each datum"
        )
    weights = identity(len(x), model.latent_dim).to(model.zero)
    return _state(loc, tril, weights, seed)


def init_from_encoder(model: VAE, x: Tensor, *, seed: int = 0) -> State:
    """Flows that begin as the answers of an encoder whose family is the flow, exactly."""
    with torch.no_grad():
        q = model.encode(x)
        if not isinstance(q, FlowPosterior):
            loc, scale = moments(q)
            lean = torch.diag_embed(scale)
            if not isinstance(q, Independent):
                lean = torch.linalg.cholesky(covariance(q))
            return init(model, x, loc, lean, seed=seed)
        shared = torch.cat([p.flatten() for p in model.family.parameters()])
        weights = torch.cat((q.context, shared.expand(len(x), -1)), 1)
        return _state(q.loc, torch.diag_embed(q.scale), weights, seed)


def step(
    model: VAE,
    x: Tensor,
    state: State,
    *,
    pace: float = 1.0,
    observed: Tensor | None = None,
) -> tuple[State, Info]:
    """One step of Adam for every datum's flow, on fresh samples; later steps are shorter.

    Arguments:
        model: The model.
        x: The data of ``init``.
        state: The state, which is left as it is.
        pace: Multiplies the length of the step.
        observed: Which coordinates of a datum count, a mask with shape (d); all if not given.

    Returns:
        The next state, and what the ELBO was before it.

    Raises:
        ValueError: If there are not as many data as in the state.

    Source:
        Kingma & Ba 2015, Adam; Rezende & Mohamed 2015, Variational Inference with Normalizing
        Flows.

    Example:
        >>> from vae.config import RunConfig
        >>> model, x = VAE(RunConfig(dataset="digits", hidden=(16,))), torch.zeros(5, 1, 8, 8)
        >>> state = init(model, x, torch.zeros(5, 2), torch.eye(2).expand(5, 2, 2))
        >>> step(model, x, state)[0].n_steps
        1
    """
    if len(x) != len(state.loc):
        raise ValueError(f"there are {len(x)} data, and the state is one of {len(state.loc)}")
    n_steps = state.n_steps + 1
    noise, _ = mirrored(SAMPLES, model.latent_dim, state.seed, n_steps)
    elbo, gradient = _gradient(model, x, state, noise.to(model.zero), observed)
    first = torch.lerp(gradient, state.first, BETAS[0])
    second = torch.lerp(gradient.square(), state.second, BETAS[1])
    size = (second / (1 - BETAS[1] ** n_steps)).sqrt() + EPSILON
    length = pace * RATE * min(1, 2 / model.latent_dim) / (1 + state.n_steps / HALF_LIFE)
    direction = first / (1 - BETAS[0] ** n_steps) / size
    parameters = state.parameters + length * direction
    after = State(state.loc, state.tril, parameters, first, second, elbo, state.seed, n_steps)
    return after, Info(elbo)


def distribution(state: State) -> DatumFlows:
    """q of a state, with batch shape (N) and event shape (D)."""
    return _flows(state.loc, state.tril, state.parameters)


def identity(n: int, latent_dim: int) -> Tensor:
    """Contexts and weights of n flows whose T is the identity, ready to learn: (n, P - 2 D)."""
    flow = _template(latent_dim, torch.float32)
    last = {id(p) for layer in flow.layers.transforms for p in layer.hyper[-1].parameters()}
    parts = [p.detach().flatten() for p in flow.parameters()]
    parts = [
        torch.zeros_like(t) if id(p) in last else t
        for p, t in zip(flow.parameters(), parts, strict=True)
    ]
    return torch.cat((torch.zeros(CONTEXT), *parts)).expand(n, -1).clone()


class _Bend:
    """y = unit · T(ε) for N data at once; ``unit`` (N, D, D) has ones on its diagonal."""

    def __init__(self, unit: Tensor, weights: Tensor) -> None:
        self.unit, self.weights = unit, weights
        self.bends = _template(unit.shape[-1], unit.dtype)
        self.shapes = {name: p.shape for name, p in self.bends.named_parameters()}

    def call_and_ladj(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """y of noise (*, N, D), and the logarithm of how much it stretches."""
        flat = noise.reshape(-1, *noise.shape[-2:])
        y, log_det = vmap(partial(self._one, False), (0, 1), (1, 1))(self.weights, flat)
        y = torch.einsum("nij,knj->kni", self.unit, y)
        return y.reshape(noise.shape), log_det.reshape(noise.shape[:-1])

    @property
    def inv(self) -> SimpleNamespace:
        """The way back, which too says how much it stretches."""
        return SimpleNamespace(call_and_ladj=self._back)

    def _back(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """The noise that becomes y (*, N, D), and the logarithm of how much that stretches."""
        flat = y.reshape(-1, *y.shape[-2:]).unsqueeze(-1)
        flat = torch.linalg.solve_triangular(self.unit, flat, upper=False).squeeze(-1)
        noise, log_det = vmap(partial(self._one, True), (0, 1), (1, 1))(self.weights, flat)
        return noise.reshape(y.shape), log_det.reshape(y.shape[:-1])

    def _one(self, back: bool, weights: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """T of one datum or its inverse, and the logarithm of the stretch."""
        sizes = [shape.numel() for shape in self.shapes.values()]
        context, *parts = weights.split([CONTEXT, *sizes])
        named = {
            name: part.view(shape)
            for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }
        return functional_call(self.bends, named, (context, value, back))


class _Layers(nn.Module):
    """T of a flow as a module, for zuko asks for weights only when its transform is called."""

    def __init__(self, flow: Flow) -> None:
        super().__init__()
        self.layers = flow.layers

    def forward(self, context: Tensor, value: Tensor, back: bool) -> tuple[Tensor, Tensor]:
        """T of a value or its inverse, and the logarithm of the stretch."""
        transform = self.layers(context)
        return (transform.inv if back else transform).call_and_ladj(value)


@lru_cache(maxsize=8)
def _template(latent_dim: int, dtype: torch.dtype) -> _Layers:
    """A T whose shapes, and first weights, those of all data have; the same every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return _Layers(Flow(latent_dim)).to(dtype).requires_grad_(False)


def _state(loc: Tensor, tril: Tensor, weights: Tensor, seed: int) -> State:
    """The state at the start: no shift, no stretch."""
    parameters = torch.cat((torch.zeros_like(loc), torch.zeros_like(loc), weights), 1)
    zero = torch.zeros_like(parameters)
    unknown = torch.full((len(loc),), torch.nan, dtype=torch.float64, device=loc.device)
    return State(loc, tril, parameters, zero, zero, unknown, seed, 0)


def _flows(loc: Tensor, tril: Tensor, parameters: Tensor) -> DatumFlows:
    """The flows that stand on a Gaussian, with these parameters."""
    D = loc.shape[-1]
    shift, log_scale, weights = parameters.split((D, D, parameters.shape[1] - 2 * D), 1)
    moved = loc + (tril @ shift.unsqueeze(-1)).squeeze(-1)
    return DatumFlows(moved, tril * log_scale.exp().unsqueeze(-2), weights)


def _gradient(
    model: VAE, x: Tensor, state: State, noise: Tensor, observed: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The ELBO (N) over noise (K, D), and its gradient (N, P)."""
    elbos, gradients = [], []
    for rows in tiles(len(x), len(noise)):
        parameters = state.parameters[rows].detach().requires_grad_()
        with torch.enable_grad():
            q = _flows(state.loc[rows], state.tril[rows], parameters)
            z, log_q = q.push(noise[:, None].expand(-1, len(parameters), -1))
            elbo = (log_joint(model, x[rows], z, observed) - log_q).mean(0)
            gradients.append(torch.autograd.grad(elbo.sum(), parameters)[0])
        elbos.append(elbo.detach())
    return torch.cat(elbos), torch.cat(gradients)
