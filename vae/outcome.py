"""How a training ends: every end that was to be expected is a state with its reason."""

from __future__ import annotations

from collections.abc import Callable

import torch

from vae.config import ConfigError
from vae.data import DataError
from vae.files import DamagedFile, explain_os_error
from vae.runs import RunError
from vae.status import State

#: The state in which a run is left, and why in a sentence.
Outcome = tuple[State, str]


class Diverged(Exception):
    """The loss is no longer a finite number."""


def outcome(training: Callable[[], Outcome]) -> Outcome:
    """Trains, and turns every expected trouble into the state and the reason to write down.

    Arguments:
        training: The life of a run; it says itself whether it finished or was stopped.

    Returns:
        The outcome.

    Raises:
        Exception: What nobody expected.

    Example:
        >>> def full_disk():
        ...     raise OSError(28, "No space left on device")
        >>> outcome(full_disk)[0], outcome(lambda: ("finished", ""))
        ('failed', ('finished', ''))
    """
    try:
        return training()
    except Diverged:
        return (
            "diverged",
            "The loss stopped being a finite number. The last finite checkpoint is kept; try a "
            "smaller learning rate, a smaller gradient norm, or more β warm-up.",
        )
    except (ConfigError, RunError, DataError, DamagedFile) as error:
        return "failed", str(error)
    except OSError as error:
        return "failed", explain_os_error(error)
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        return "failed", "There was not enough memory: use a smaller batch, k or model."


def _is_out_of_memory(error: Exception) -> bool:
    """PyTorch has no type of its own for it on the CPU, only these words."""
    words = ("can't allocate memory", "Storage size calculation overflowed")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
        said in str(error) for said in words
    )
