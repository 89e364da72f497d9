"""Priors over code maps: every code equally likely, or a small causal transformer."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Width, blocks and heads of the transformer: the prior of a 7 × 7 map has about 120,000 numbers.
WIDTH, BLOCKS, HEADS = 64, 2, 4


#: Keys and values (B, heads, m, width of a head) of places that were seen; at first none.
Seen = list[Tensor]


class UniformPrior(nn.Module):
    r"""Every code map equally likely: :math:`\log p(k) = -n \log n_\text{codes}`.

    Arguments:
        shape: Of a code map: levels, height, width.
        n_codes: Codes to choose from.

    Source:
        van den Oord et al. 2017, section 3.1: the rate is then a constant.

    Example:
        >>> UniformPrior((1, 7, 7), 128).log_prob(torch.zeros(2, 1, 7, 7, dtype=torch.long))
        tensor([-237.7495, -237.7495])
    """

    def __init__(self, shape: tuple[int, int, int], n_codes: int) -> None:
        super().__init__()
        self.shape, self.n_codes = shape, n_codes

    @property
    def nats(self) -> float:
        """What it costs to name one map, in nats."""
        return math.prod(self.shape) * math.log(self.n_codes)

    def log_prob(self, codes: Tensor) -> Tensor:
        """log p(codes) of maps (B, L, H, W), with shape (B), in nats."""
        return torch.full((len(codes),), -self.nats, device=codes.device)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draws maps, int64 (n, L, H, W)."""
        return torch.randint(self.n_codes, (n, *self.shape), generator=generator)


class CodePrior(UniformPrior):
    r"""A causal transformer over the codes of a map, row by row, levels of a place together.

    .. math:: \log p(k) = \sum_i \log p(k_i \mid k_1, \dots, k_{i-1})

    Its last layer begins at zero, so an untrained one is the uniform prior exactly.

    Arguments:
        shape: Of a code map: levels, height, width.
        n_codes: Codes to choose from.

    Source:
        van den Oord et al. 2017, section 3.3, with a transformer (Vaswani et al. 2017) in place of
        PixelCNN.

    Example:
        >>> prior = CodePrior((1, 7, 7), 128)
        >>> prior.log_prob(torch.zeros(2, 1, 7, 7, dtype=torch.long))
        tensor([-237.7495, -237.7495], grad_fn=<SumBackward1>)
    """

    def __init__(self, shape: tuple[int, int, int], n_codes: int) -> None:
        super().__init__(shape, n_codes)
        self.n = math.prod(shape)
        self.begin = nn.Parameter(torch.zeros(WIDTH))
        self.tokens = nn.Embedding(shape[0] * n_codes, WIDTH)
        self.places = nn.Parameter(0.02 * torch.randn(self.n, WIDTH))
        self.blocks = nn.Sequential(*(Block() for _ in range(BLOCKS)))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, n_codes)
        nn.init.normal_(self.tokens.weight, std=0.02)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def log_prob(self, codes: Tensor) -> Tensor:
        """log p(codes) of maps (B, L, H, W), with shape (B), in nats; differentiable."""
        return self.log_probs(codes).sum(-1)

    def log_probs(self, codes: Tensor) -> Tensor:
        """The terms of ``log_prob``, in the order of ``in_line``, with shape (B, n)."""
        line = self.in_line(codes)
        logits = self.logits(line[:, :-1]).flatten(0, 1)
        return -functional.cross_entropy(logits, line.flatten(), reduction="none").view_as(line)

    def logits(self, before: Tensor) -> Tensor:
        """Of each code that follows on codes (B, m) in line, the first included: (B, m + 1, n)."""
        return self.head(self.norm(self.blocks(self._embedded(before))))

    def _embedded(self, before: Tensor) -> Tensor:
        """A mark for the beginning, then codes (B, m) in line, each with its place."""
        level = torch.arange(before.shape[1], device=before.device) % self.shape[0]
        tokens = self.tokens(before + level * self.n_codes)
        begin = self.begin.expand(len(before), 1, -1)
        return torch.cat((begin, tokens), 1) + self.places[: before.shape[1] + 1]

    def in_line(self, codes: Tensor) -> Tensor:
        """Maps (B, L, H, W) as sequences (B, n): row by row, the levels of a place together."""
        return codes.permute(0, 2, 3, 1).flatten(1)

    def as_maps(self, line: Tensor) -> Tensor:
        """Sequences (B, n) as maps (B, L, H, W)."""
        levels, height, width = self.shape
        return line.view(-1, height, width, levels).permute(0, 3, 1, 2)

    @torch.no_grad()
    def sample(
        self,
        n: int,
        generator: torch.Generator,
        temperature: float = 1.0,
        given: int = 0,
        codes: Tensor | None = None,
    ) -> Tensor:
        """Draws maps, code after code.

        Arguments:
            n: How many.
            generator: The source of randomness.
            temperature: Divides the logits: below 1 likely codes become likelier; only at 1 are
                the draws those of the model.
            given: How many codes in line, from the start, are taken from ``codes``.
            codes: A map (L, H, W) whose beginning is kept.

        Returns:
            Maps, int64 (n, L, H, W).
        """
        line = torch.empty(n, 0, dtype=torch.long, device=self.begin.device)
        if codes is not None:
            line = self.in_line(codes[None])[:, :given].expand(n, -1).to(line)
        seen: list[Seen] = [[] for _ in self.blocks]  # what earlier places said, block by block
        new = line.shape[1] + 1
        while line.shape[1] < self.n:
            h = self._embedded(line)[:, -new:]
            for block, before in zip(self.blocks, seen, strict=True):
                h = block(h, before)
            logits = self.head(self.norm(h[:, -1])) / temperature
            drawn = torch.multinomial(logits.softmax(-1), 1, generator=generator)
            line, new = torch.cat((line, drawn), 1), 1
        return self.as_maps(line)


class Block(nn.Module):
    """A pre-norm transformer block in which no place sees a later one."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
        )

    def forward(self, h: Tensor, before: Seen | None = None) -> Tensor:
        """From (B, m, width) to the same; ``before`` keeps keys and values for what comes after."""
        B, m, _ = h.shape
        q, k, v = self.qkv(self.first(h)).view(B, m, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        if before:  # one place that follows on those seen, and sees all of them
            k, v = (torch.cat(pair, 2) for pair in zip(before, (k, v), strict=True))
        if before is not None:
            before[:] = k, v
        seen = functional.scaled_dot_product_attention(q, k, v, is_causal=m > 1)
        h = h + self.out(seen.transpose(1, 2).reshape(B, m, -1))
        return h + self.mlp(self.second(h))
