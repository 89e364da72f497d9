"""What may be asked of a run that takes more than a moment: each kind with its bounds."""

from __future__ import annotations

import hashlib
import json
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vae.reading import explain

#: More samples than this in one request (data times samples each) would take an hour.
MAX_SAMPLES = 2_000_000_000

Split = Literal["held_out", "train"]
Family = Literal["diagonal", "full", "flow"]


class RequestError(ValueError):
    """A request that makes no sense, in one sentence for a person."""


class _Request(BaseModel):
    """What all requests share: a model of the run, by epoch, and the seed of all noise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Counts up when what is kept changes its meaning: older results are then not found any more.
    version: ClassVar[int] = 1

    epoch: int | None = Field(None, ge=0, description="One of `runs.past`; the newest if null")
    seed: int = Field(0, ge=0, lt=2**31)

    @property
    def stem(self) -> str:
        """What tells this request from every other: the first half of the name of its result."""
        text = f"{self.version} {self.model_dump_json()}"
        return hashlib.sha256(text.encode()).hexdigest()[:12]


class Evidence(_Request):
    """How far is the ELBO from log p(x), datum by datum: every bound, and the truth if known."""

    kind: Literal["evidence"] = "evidence"
    split: Split = "held_out"
    n: int = Field(500, ge=1, le=100_000, description="Data: the first n of the split")
    k: int = Field(1_000, ge=2, le=100_000, description="Samples per datum")

    @model_validator(mode="after")
    def _affordable(self) -> Evidence:
        if self.n * self.k > MAX_SAMPLES:
            raise ValueError(
                f"{self.n:,} data with {self.k:,} samples each are too many: "
                f"choose at most {MAX_SAMPLES:,} samples in all."
            )
        return self


class History(_Request):
    """ELBO and log p(x) over the epochs whose weights were kept, on train and held-out data."""

    kind: Literal["history"] = "history"
    epoch: None = None
    n: int = Field(200, ge=100, le=2_000, description="Data of each split")
    k: int = Field(100, ge=2, le=10_000, description="Samples per datum")


class Gaps(_Request):
    """What the family and what the encoder lose: SVI for every datum, in each family."""

    kind: Literal["gaps"] = "gaps"
    split: Split = "held_out"
    n: int = Field(200, ge=1, le=2_000, description="Data: the first n of the split")
    families: tuple[Family, ...] = Field(("diagonal", "full"), min_length=1, max_length=3)

    @model_validator(mode="after")
    def _distinct(self) -> Gaps:
        if len(set(self.families)) < len(self.families):
            raise ValueError("families: name each family once.")
        return self


class Annealing(_Request):
    """log p(x) by annealed importance sampling, and how tight it is on simulated data."""

    kind: Literal["annealing"] = "annealing"
    split: Split = "held_out"
    n: int = Field(32, ge=1, le=500, description="Data: the first n of the split")
    chains: int = Field(16, ge=2, le=256)
    temperatures: int = Field(500, ge=2, le=20_000)


class Embedding(_Request):
    """The means of the encoder laid out in two dimensions by t-SNE, and what that kept."""

    kind: Literal["embedding"] = "embedding"
    n: int = Field(5_000, ge=30, le=5_000, description="Data: the first n held-out ones")


Request = Evidence | History | Gaps | Annealing | Embedding
KINDS = {
    "evidence": Evidence,
    "history": History,
    "gaps": Gaps,
    "annealing": Annealing,
    "embedding": Embedding,
}


def read_request(text: str) -> Request:
    """Reads a request from JSON; its ``kind`` says which.

    Arguments:
        text: A JSON object.

    Returns:
        The request.

    Raises:
        RequestError: If it is no JSON object, of no kind, or out of bounds.

    Source:
        Pydantic checks the fields.

    Example:
        >>> read_request('{"kind": "history", "n": 500}').k
        100
        >>> read_request('{"kind": "evidence", "k": 1}')
        Traceback (most recent call last):
        vae.requests.RequestError: k must be at least 2 (not 1).
    """
    try:
        model = KINDS[json.loads(text)["kind"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise RequestError(
            f"A request is a JSON object, its kind one of {', '.join(KINDS)}."
        ) from None
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise RequestError(explain(error)) from None
