"""Asking for a heavy analysis: kept arrays at once, else a bar that follows the worker."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import streamlit as st

from ui import cache, jobs, widgets
from vae import results, runs
from vae.data import DataError
from vae.requests import Request, read_request
from vae.runs import RunError

POLL = 0.5  # seconds between two looks
NOTHING = "It ended without a result."

#: By name; shared by all sessions, so never write to them.
Arrays = dict[str, np.ndarray]


class Standing(NamedTuple):
    """What can be said of an analysis that has no result yet."""

    state: Literal["new", "queued", "running", "failed"]
    reason: str = ""
    progress: results.Progress | None = None


def ask(run_id: str, request: Request, what: str) -> Arrays | None:
    """The arrays of an analysis, or nothing yet: then a bar is drawn here, and the page runs again
    as soon as they are there.

    The work is done once for all sessions, by a worker, and kept beside the checkpoint. Of a run
    that is still trained the newest result is given, and its epoch said.

    Arguments:
        run_id: The id of the run.
        request: What is asked.
        what: What the bar calls it, such as "log p(x) of 500 data".

    Returns:
        The arrays by name, or nothing.

    Raises:
        Nothing: trouble is said in place of the bar.

    Source:
        The kinds of requests, and what each answers, are in ``vae.requests``.

    Example:
        In a page::

            found = analyses.ask(run.id, Evidence(n=500), "log p(x) of 500 data")
            if found is None:
                st.stop()
    """
    try:
        found = _newest(run_id, request)
        if found is None and _is_active(run_id):
            found = results.earlier(run_id, request)
            if found is not None:
                _say_its_epoch(run_id, request, what, int(found["epoch"]))
        if found is None:
            polls = _begin(run_id, request).state in ("queued", "running")
            st.fragment(_wait, run_every=POLL if polls else None)(run_id, request, what, polls)
        else:
            _asked().discard(_name(run_id, request))
        return found
    except (RunError, DataError) as error:
        st.warning(str(error))
        return None


def at_hand(run_id: str, request: Request) -> Arrays | None:
    """The arrays of an analysis of the newest weights, if they are kept; nobody is put to work."""
    try:
        return _newest(run_id, request)
    except (RunError, DataError):
        return None


def kept(run_id: str, request: Request) -> bool:
    """Whether the answer is there, so that asking costs nothing."""
    return at_hand(run_id, request) is not None


def _wait(run_id: str, request: Request, what: str, polls: bool) -> None:
    """How far it is, drawn on its own until that changes what the page can show."""
    try:
        there = _newest(run_id, request) is not None
        there = there or (_is_active(run_id) and results.earlier(run_id, request) is not None)
        now = _standing(run_id, request)
    except (RunError, DataError):  # deleted meanwhile
        st.rerun()
    if there or (polls and now.state not in ("queued", "running")):
        st.rerun()
    name, arguments = _name(run_id, request), (run_id, request)
    left, right = st.columns([5, 1], vertical_alignment="center")
    if now.state == "failed":
        left.warning(f"{what}: {now.reason}")
        right.button("Try again", key=f"again-{name}", on_click=_forget, args=arguments)
        return
    if now.progress is None:
        left.progress(0.0, f"{what}: waiting for a free worker")
    else:
        share, eta = now.progress.share, now.progress.eta
        text = f"{what}: {now.progress.what}, {share:.0%}"
        left.progress(share, text + (f" · {widgets.duration(eta)} left" if eta else ""))
    right.button("Cancel", key=f"cancel-{name}", on_click=_cancel, args=arguments)


def _begin(run_id: str, request: Request) -> Standing:
    """Hands it to the workers, once a session: one that failed waits for a person."""
    now = _standing(run_id, request)
    if now.state != "new":
        return now
    _asked().add(_name(run_id, request))
    try:
        jobs.analyse(run_id, request)
    except jobs.JobsError as error:
        st.session_state[f"refused-{_name(run_id, request)}"] = str(error)
        return Standing("failed", str(error))
    return Standing("queued")


def _standing(run_id: str, request: Request) -> Standing:
    """Where an analysis stands, by what its folder and the queue say."""
    name, progress = _name(run_id, request), results.progress(run_id, request)
    if progress and progress.state == "running":
        return Standing("running", progress=progress)
    if jobs.analysing(run_id, request):
        return Standing("queued")
    if progress and progress.key == _key(run_id, request):
        return Standing("failed", progress.reason)
    if name in _asked():
        return Standing("failed", st.session_state.get(f"refused-{name}", NOTHING))
    return Standing("new")


def _say_its_epoch(run_id: str, request: Request, what: str, epoch: int) -> None:
    """The run goes on: what is shown is of an epoch that is past."""
    left, right = st.columns([5, 1], vertical_alignment="center")
    left.caption(f"{what}: as of epoch {epoch} of a run that is still training.")
    right.button(
        "Update", key=f"update-{_name(run_id, request)}", on_click=_update, args=(run_id, request)
    )


def _update(run_id: str, request: Request) -> None:
    """Drops the result of a past epoch, so that the newest is analysed."""
    results.drop_older(run_id, request)


def _cancel(run_id: str, request: Request) -> None:
    """Takes it out of the queue, or asks the worker to end early."""
    try:
        if jobs.withdraw_analysis(run_id, request):
            results.fail(run_id, request, _key(run_id, request), results.CANCELLED)
        else:
            results.cancel(run_id, request)
    except (RunError, DataError) as error:
        st.toast(str(error))


def _forget(run_id: str, request: Request) -> None:
    """Clears a failure: the page then asks anew."""
    results.forget(run_id, request)
    _asked().discard(_name(run_id, request))
    st.session_state.pop(f"refused-{_name(run_id, request)}", None)


def _asked() -> set[str]:
    """What this session has handed to the workers and not got back."""
    return st.session_state.setdefault("analyses-asked", set())


def _name(run_id: str, request: Request) -> str:
    """What tells an analysis from all others."""
    return f"{run_id}-{request.stem}"


def _is_active(run_id: str) -> bool:
    """Whether the weights of a run may change at any moment."""
    return runs.status(run_id).state in runs.ACTIVE


def _key(run_id: str, request: Request) -> str:
    """The key of the result for the weights as they are now."""
    return _key_of(run_id, runs.stamp(run_id), request.model_dump_json())


@st.cache_resource(max_entries=200, show_spinner=False)
def _key_of(run_id: str, stamp: int, request_json: str) -> str:
    request = read_request(request_json)
    run = cache.run(run_id) if request.epoch is None else runs.load(run_id, request.epoch)
    return results.key(run, request)


def _newest(run_id: str, request: Request) -> Arrays | None:
    """The result for the weights as they are now, if it is there."""
    try:
        return _kept(run_id, _key(run_id, request))
    except LookupError:
        return None


@st.cache_resource(max_entries=30, show_spinner=False)
def _kept(run_id: str, key: str) -> Arrays:
    """Arrays in the memory of the server; what is not there is not remembered as missing."""
    if (arrays := results.kept(run_id, key)) is None:
        raise LookupError(key)
    return arrays
