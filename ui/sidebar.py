"""The sidebar of every page: a new run, and the queue of those under way."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ui import form, jobs, widgets
from vae import data, runs
from vae.config import DOWNLOADED, ConfigError, RunConfig
from vae.data import DataError
from vae.runs import RunError, State, Status

POLL = 1.0


def show() -> None:
    """Draws the sidebar; it refreshes itself only while something waits or trains."""
    seen = widgets.states()
    active = any(state in runs.ACTIVE for state in seen.values())
    st.fragment(_sidebar, run_every=POLL if active else None)(seen)


def _sidebar(seen: dict[str, State]) -> None:
    """Form and queue, redrawn on their own; the page follows when a run's state changes."""
    st.subheader("Train a model")
    config = form.ask()
    _train_button(config)
    _queue()
    if widgets.states() != seen:
        st.rerun()


def _train_button(config: RunConfig | None) -> None:
    """Downloads what is missing, makes the run, and queues it."""
    pressed = st.button(
        "Train", type="primary", width="stretch", disabled=config is None, key="train"
    )
    if pressed:
        st.session_state.pop("notice", None)
    if notice := st.session_state.get("notice"):
        st.warning(notice)
    if not pressed or config is None:
        return
    try:
        config = _with_data(config)
        run_id = runs.create(config)
        jobs.submit(run_id)
    except (ConfigError, RunError, DataError, jobs.JobsError) as error:
        st.error(str(error))
        return
    st.session_state["watch"] = run_id
    st.rerun()


def _with_data(config: RunConfig) -> RunConfig:
    """The configuration with data that are here: downloaded now, or the bundled set instead."""
    if config.dataset not in DOWNLOADED or data.available(config.dataset):
        return config
    bar = st.progress(0.0, f"Downloading {config.dataset}")

    def show(done: int, total: int) -> None:
        share = done / total if total else 0.0
        bar.progress(min(1.0, share), f"Downloading {config.dataset}: {done / 1e6:.1f} MB")

    name, notice = data.ensure(config.dataset, show)
    bar.empty()
    if notice is None:
        return config
    st.session_state["notice"] = notice
    return config.model_copy(update={"dataset": name, "name": f"{config.name} on {name}"[:80]})


def _queue() -> None:
    """Runs of one's own: those under way first, each with what can be done about it."""
    trouble = jobs.state().error
    if trouble:
        st.error(trouble)
    if deleted := st.session_state.get("deleted"):
        left, right = st.columns([3, 2], vertical_alignment="center")
        left.caption(f"{widgets.plain(deleted)} was deleted.")
        right.button("Undo", key="undo", on_click=_undo, args=(deleted,))
    own = [run_id for run_id in runs.ids() if not runs.is_shipped(run_id)]
    if own:
        st.subheader("Runs")
    for run_id in own[:12]:
        try:
            _row(run_id, runs.status(run_id))
        except RunError:
            continue  # deleted by somebody else a moment ago
    if len(own) > 12:
        st.caption(f"and {len(own) - 12} older ones, in the run lists of the pages")


def _row(run_id: str, status: Status) -> None:
    """One run: how far it is, and buttons."""
    with st.container(border=True):
        st.markdown(f"**{widgets.plain(widgets.title(run_id))}**")
        if status.state == "running":
            text = widgets.epoch_of(run_id, status)
            if status.samples_per_second:
                text += f" · {status.samples_per_second:,.0f} images/s"
            if status.eta is not None:
                text += f" · {widgets.duration(status.eta)} left"
            st.progress(status.progress, text)
        elif status.state == "queued":
            place = _place_in_queue(run_id)
            st.caption(f"waiting for a free worker{f', {place} ahead' if place else ''}")
        else:
            words = widgets.STATE_WORDS[status.state]
            st.caption(f"{words} at epoch {status.epoch}/{status.epochs}. {status.reason}")
        _buttons(run_id, status)


def _buttons(run_id: str, status: Status) -> None:
    """Stop, or Resume and Delete."""
    with st.container(horizontal=True):
        if status.state in runs.ACTIVE:
            stopping = runs.stop_requested(run_id)
            st.button(
                "Stopping" if stopping else "Stop",
                key=f"stop-{run_id}",
                on_click=_do,
                args=(_stop, run_id),
                disabled=stopping,
            )
        elif status.state != "finished":
            st.button("Resume", key=f"resume-{run_id}", on_click=_do, args=(_resume, run_id))
        st.button("Delete", key=f"delete-{run_id}", on_click=_do, args=(_delete, run_id))
    if status.epoch and widgets.kind_of(run_id) == "VQ-VAE":
        widgets.link("codebook", "Codebook", run=run_id)
    elif status.epoch:
        widgets.link("latent_space", "Latent space", run=run_id)


def _place_in_queue(run_id: str) -> int:
    """How many waiting runs were made before this one."""
    waiting = [i for i, state in widgets.states().items() if state == "queued"]
    return len(waiting) - 1 - waiting.index(run_id) if run_id in waiting else 0


def _do(action: Any, run_id: str) -> None:
    """A button's work, with trouble said in one sentence."""
    try:
        action(run_id)
    except (RunError, jobs.JobsError) as error:
        st.session_state["notice"] = str(error)


def _stop(run_id: str) -> None:
    """Takes a waiting run out of the queue, or asks a training one to stop."""
    if jobs.withdraw(run_id):
        runs.set_status(run_id, "stopped", "Taken out of the queue; resume it to train it.")
    else:
        runs.request_stop(run_id)


def _resume(run_id: str) -> None:
    """Queues a run again."""
    runs.requeue(run_id)
    jobs.submit(run_id)


def _delete(run_id: str) -> None:
    """Moves a run to the trash and remembers it for Undo."""
    jobs.withdraw(run_id)
    runs.delete(run_id)
    st.session_state["deleted"] = run_id
    st.session_state["deleted-shown"] = run_id in st.session_state.get("runs-shown", [])


def _undo(run_id: str) -> None:
    """Brings the run deleted last back."""
    st.session_state.pop("deleted", None)
    _do(runs.restore, run_id)
    if st.session_state.pop("deleted-shown", False):
        st.session_state["runs-shown"] = [*st.session_state.get("runs-shown", []), run_id]
