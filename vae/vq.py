"""Vector quantisation: a codebook, the nearest code, how it learns, and what it is used for."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn import functional

from vae.config import ConfigError

#: A code whose moving-average use falls below this share of an even one is dead, and is revived.
REVIVE_BELOW = 0.05
#: Keeps the averages of codes that nobody uses away from 0 / 0.
EPSILON = 1e-5
#: Distances that are compared at once: as many as the caches of a processor hold.
AT_ONCE = 2**18
#: Scores whose best is found first: a processor finds a greatest value faster than its place.
BLOCK = 32


class Quantised(NamedTuple):
    """What a quantiser answers for vectors z with shape (*, D).

    ``quantised`` (*, D) are the codes in their place, with a gradient to z; ``code_indices``
    (L, *) say which; ``commitment`` and ``codebook`` (*) are the squared distances
    |z − sg e|² and |sg z − e|², summed over D and over levels: equal numbers whose gradients go to
    the encoder and to the codebook; ``usage`` (L, n_codes) counts how often each code was chosen.
    """

    quantised: Tensor
    code_indices: Tensor
    commitment: Tensor
    codebook: Tensor
    usage: Tensor


class VectorQuantizer(nn.Module):
    r"""Replaces vectors by the nearest of a learned codebook, or by a sum of several.

    .. math:: k = \arg\min_j |z - e_j|^2, \qquad z_q = e_k

    With L levels each quantises what those before left over, and z_q is the sum. Nothing but
    ``learn`` and ``start`` ever changes a codebook that learns by moving averages: a forward pass
    does not, whether in training or in evaluation.

    Arguments:
        n_codes: Vectors in each codebook.
        dim: Their length D.
        levels: The number of codebooks L.
        learning: ``"ema"``, by moving averages, or ``"loss"``, by the gradient of ``codebook``.
        decay: γ of the moving averages.
        through: How a gradient passes the choice: ``"straight-through"`` copies it,
            ``"rotation"`` turns and scales it as z was turned and scaled to become z_q.
        cosine: Whether directions are compared, and codes have length 1.
        revival: Whether ``learn`` moves codes that nobody uses to where vectors are.

    Source:
        van den Oord et al. 2017, Neural Discrete Representation Learning, eq. 1 to 3 and appendix
        A.1 (averages, with the smoothing of Sonnet's ``nets/vqvae.py``); Fifty et al. 2024,
        Restructuring Vector Quantization with the Rotation Trick; Dhariwal et al. 2020, Jukebox
        (revival); Lee et al. 2022, Autoregressive Image Generation using Residual Quantization.

    Example:
        >>> z = torch.randn(2, 7, 7, 16)
        >>> q = VectorQuantizer(n_codes=128, dim=16)(z)
        >>> q.quantised.shape, q.code_indices.shape, q.usage.sum()
        (torch.Size([2, 7, 7, 16]), torch.Size([1, 2, 7, 7]), tensor(98))
    """

    def __init__(
        self,
        n_codes: int,
        dim: int,
        *,
        levels: int = 1,
        learning: Literal["ema", "loss"] = "ema",
        decay: float = 0.99,
        through: Literal["straight-through", "rotation"] = "straight-through",
        cosine: bool = False,
        revival: bool = True,
    ) -> None:
        super().__init__()
        self.decay, self.cosine, self.revival = decay, cosine, revival
        self.learning, self.pass_through = learning, _PATHS[through]
        start = _unit(torch.randn(levels, n_codes, dim)) if cosine else None
        if start is None:  # as in the authors' code, small: the encoder begins near 0
            start = (torch.rand(levels, n_codes, dim) * 2 - 1) / n_codes
        if learning == "ema":
            self.register_buffer("vectors", start)
        else:
            self.vectors = nn.Parameter(start)
        self.register_buffer("uses", torch.ones(levels, n_codes))  # moving averages of counts
        self.register_buffer("sums", start.detach().clone())  # and of sums of vectors
        self.register_buffer("revived", torch.zeros(levels, n_codes))  # how often, so far

    @property
    def codebook(self) -> Tensor:
        """The code vectors as they are used, with shape (L, n_codes, D)."""
        return _unit(self.vectors) if self.cosine else self.vectors

    def forward(self, z: Tensor) -> Quantised:
        """Quantises vectors (*, D); see ``Quantised``."""
        rows = z.reshape(-1, z.shape[-1])
        rows = _unit(rows) if self.cosine else rows
        left, total = rows, None
        indices, commitment, learned, usage = [], [], [], []
        for vectors in self.codebook:
            chosen = nearest(left.detach(), vectors.detach())
            e = vectors.index_select(0, chosen)
            fixed = e.detach()
            learned.append((left.detach() - e).square().sum(-1) if e.requires_grad else None)
            left = left - fixed
            commitment.append(left.square().sum(-1))
            usage.append(torch.bincount(chosen, minlength=len(vectors)))
            indices.append(chosen)
            total = fixed if total is None else total + fixed
        gap = torch.stack(commitment).sum(0) if len(commitment) > 1 else commitment[0]
        to_codes = torch.stack(learned).sum(0) if learned[0] is not None else gap.detach()
        shape = z.shape[:-1]
        return Quantised(
            self.pass_through(rows, total).view_as(z),
            torch.stack(indices).view(-1, *shape),
            gap.view(shape),
            to_codes.view(shape),
            torch.stack(usage),
        )

    def lookup(self, code_indices: Tensor) -> Tensor:
        """The vectors that codes (L, *) stand for, with shape (*, D); fewer levels add less."""
        return sum(v[i] for v, i in zip(self.codebook, code_indices, strict=False))

    def distances(self, z: Tensor) -> Tensor:
        """Squared distances of vectors (*, D) to all codes of each level, (L, *, n_codes): of what
        the levels before left over."""
        left = _unit(z) if self.cosine else z
        found = []
        for vectors in self.codebook:
            found.append(torch.cdist(left.reshape(1, -1, z.shape[-1]), vectors[None])[0].square())
            left = left - vectors[found[-1].argmin(-1)].view_as(left)
        return torch.stack(found).view(len(found), *z.shape[:-1], -1)

    @torch.no_grad()
    def learn(self, z: Tensor, q: Quantised) -> None:
        r"""Moves the codes towards the vectors that chose them, and revives the dead.

        .. math:: N \leftarrow \gamma N + (1 - \gamma)\, n, \quad
            m \leftarrow \gamma m + (1 - \gamma) \textstyle\sum z, \quad e = m / \tilde N

        Ñ is N with Laplace smoothing. By loss only the counts move here: the vectors follow their
        gradient. A dead code moves to a random one of the vectors, and counts as one that has just
        been used enough.

        Arguments:
            z: The vectors that were quantised, with shape (*, D).
            q: What the forward pass answered for them.

        Source:
            After Sonnet's ``VectorQuantizerEMA`` (its averages begin at 0 and are debiased) and
            Jukebox's ``BottleneckBlock.update_k`` (its threshold is one use a batch).
        """
        left = z.detach().reshape(-1, z.shape[-1])
        left = _unit(left) if self.cosine else left
        codebook = self.codebook.detach()
        for level, chosen in enumerate(q.code_indices.flatten(1)):
            uses, sums, vectors = self.uses[level], self.sums[level], self.vectors.data[level]
            deeper = level + 1 < len(codebook)
            rest = left - codebook[level].index_select(0, chosen) if deeper else None
            uses.lerp_(q.usage[level].to(uses), 1 - self.decay)
            if self.learning == "ema":
                found = torch.zeros_like(sums).index_add_(0, chosen, left)
                sums.lerp_(found, 1 - self.decay)
                total, n_codes = uses.sum(), len(uses)
                smooth = (uses + EPSILON) / (total + n_codes * EPSILON) * total
                torch.div(sums, smooth[:, None], out=vectors)
            if self.revival:
                self._revive(level, left)
            left = rest

    def _revive(self, level: int, left: Tensor) -> None:
        """Puts dead codes where random vectors are."""
        uses = self.uses[level]
        enough = REVIVE_BELOW * len(left) / len(uses)
        dead = uses < enough
        if not dead.any():
            return
        draws = torch.randint(len(left), (int(dead.sum()),), device=left.device)
        self.vectors.data[level, dead] = left[draws]
        self.sums[level, dead] = left[draws] * enough
        uses[dead] = enough
        self.revived[level] += dead

    @torch.no_grad()
    def start(self, z: Tensor, seed: int, batch: int) -> None:
        """Begins with the centres that k-means finds among vectors z (N, D), level by level.

        Arguments:
            z: Encoder outputs of the first batches.
            seed: Of k-means.
            batch: How many vectors training shows at a time: the averages begin at that scale.

        Raises:
            ConfigError: If there are fewer different vectors than codes.

        Source:
            Łańcucki et al. 2020, Robust Training of Vector Quantized Bottleneck Models.
        """
        from sklearn.cluster import KMeans

        left = _unit(z) if self.cosine else z
        for level, vectors in enumerate(self.vectors.data):
            if len(torch.unique(left, dim=0)) < len(vectors):
                raise ConfigError(
                    f"The first batches hold fewer different vectors than the {len(vectors)} codes "
                    "that k-means is to find: make n_codes smaller, or turn kmeans_init off."
                )
            found = KMeans(len(vectors), n_init=1, max_iter=30, random_state=seed).fit(left.cpu())
            vectors.copy_(torch.from_numpy(found.cluster_centers_))
            counts = torch.bincount(torch.from_numpy(found.labels_), minlength=len(vectors))
            self.uses[level] = counts.to(self.uses) * (batch / len(left))
            self.sums[level] = vectors * self.uses[level][:, None]
            codes = self.codebook[level]
            left = left - codes[nearest(left, codes)]


def nearest(z: Tensor, vectors: Tensor) -> Tensor:
    r"""The index of the nearest of n vectors, by one matrix product: |z|² is the same for all.

    .. math:: \arg\min_j |z - e_j|^2 = \arg\max_j \; z \cdot e_j - \tfrac12 |e_j|^2

    Arguments:
        z: Vectors, with shape (N, D).
        vectors: The candidates, with shape (n, D).

    Returns:
        Indices, int64 with shape (N).

    Example:
        >>> nearest(torch.tensor([[0.9, 0.1]]), torch.eye(2))
        tensor([0])
    """
    offset, rows = vectors.square().sum(-1).mul(-0.5), max(AT_ONCE // len(vectors), 1)
    if z.device.type != "cpu":
        return torch.addmm(offset, z, vectors.T).argmax(-1)
    return torch.cat([_argmax(torch.addmm(offset, part, vectors.T)) for part in z.split(rows)])


def _argmax(scores: Tensor) -> Tensor:
    """``scores.argmax(-1)``, in less time: first which block holds the best, then its place."""
    n, n_codes = scores.shape
    if n_codes % BLOCK:
        return scores.argmax(-1)
    blocks = scores.view(-1, BLOCK)
    block = blocks.amax(-1).view(n, -1).argmax(-1)
    starts = torch.arange(0, len(blocks), n_codes // BLOCK)
    return block * BLOCK + blocks.index_select(0, starts + block).argmax(-1)


class _StraightThrough(torch.autograd.Function):
    """e going forward; coming back, e's gradient is z's."""

    @staticmethod
    def forward(ctx: FunctionCtx, z: Tensor, e: Tensor) -> Tensor:
        return e.view_as(e)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


class _Rotation(torch.autograd.Function):
    r"""e, as a turned and scaled z; a gradient meets the transpose of this map, held constant.

    .. math:: e = \tfrac{|e|}{|z|} \left(z - 2 r (r \cdot z) + 2 \hat e (\hat z \cdot z)\right),
        \quad r = \tfrac{\hat z + \hat e}{|\hat z + \hat e|}
    """

    @staticmethod
    def forward(ctx: FunctionCtx, z: Tensor, e: Tensor) -> Tensor:
        ctx.save_for_backward(z, e)
        return e.view_as(e)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        z, e = ctx.saved_tensors
        scale = e.norm(dim=-1, keepdim=True) / z.norm(dim=-1, keepdim=True).clamp_min(1e-12)
        from_, to = _unit(z), _unit(e)
        r = _unit(from_ + to)
        along_r, along_to = ((gradient * v).sum(-1, keepdim=True) for v in (r, to))
        return scale * (gradient - 2 * along_r * r + 2 * along_to * from_), None


def _unit(v: Tensor) -> Tensor:
    """Vectors of length 1."""
    return functional.normalize(v, dim=-1, eps=1e-12)


_PATHS = {"straight-through": _StraightThrough.apply, "rotation": _Rotation.apply}
