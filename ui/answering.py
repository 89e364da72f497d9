"""How /api routes answer: in turns, with arguments checked, and trouble in one sentence."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

import numpy as np
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from vae.data import DataError
from vae.joint import QuadratureError
from vae.runs import RunError

#: Requests that are worked on at once; a further one waits for its turn. A picture under somebody's
#: finger takes 2 ms and does not wait behind sixty thousand points.
TURNS = threading.BoundedSemaphore(2)
QUICK = threading.BoundedSemaphore(2)
FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}


class BadRequest(Exception):
    """A request that cannot be answered, in one sentence."""


def answer(
    view: Callable[[Request], Response], turns: threading.BoundedSemaphore = TURNS
) -> Callable[[Request], Response]:
    """Takes turns, and turns trouble into one sentence with a status."""

    def respond(request: Request) -> Response:
        try:
            with turns:
                return view(request)
        except RunError as error:
            return PlainTextResponse(str(error), status_code=404)
        except (BadRequest, DataError, QuadratureError) as error:
            return PlainTextResponse(str(error), status_code=400)

    return respond


def numbers(text: str, n: int) -> np.ndarray:
    """n finite floats of a sensible size, separated by commas."""
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if len(found) != n or not all(math.isfinite(x) and abs(x) <= 1e3 for x in found):
        raise BadRequest(f"Expected {n} numbers between -1000 and 1000, separated by commas.")
    return np.array(found)


def whole(text: str | None, what: str) -> int | None:
    """A whole number, if one is given."""
    if text and not text.isdecimal():
        raise BadRequest(f"{what} is a whole number.")
    return int(text) if text else None


def one_of(text: str, *allowed: str) -> str:
    """A word out of a few."""
    if text not in allowed:
        raise BadRequest(f"Expected one of {', '.join(allowed)}.")
    return text
