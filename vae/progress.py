"""How far a long computation is: one bar for all of its parts."""

from __future__ import annotations

from collections.abc import Callable

#: Told about every step: a short phrase that says what is done, and the share of all, 0 to 1.
Report = Callable[[str, float], None]


def part(
    report: Report, what: str, total: int, start: float, end: float
) -> Callable[[int], object]:
    """A callback for a loop over data, each call for so many more, as a part of a longer task.

    Example:
        >>> more = part(lambda what, share: print(what, share), "grid", 10, 0.5, 1.0)
        >>> more(5)
        grid 0.75
    """
    done = 0

    def more(n: int) -> None:
        nonlocal done
        done += n
        report(what, start + (end - start) * min(1.0, done / max(1, total)))

    return more
