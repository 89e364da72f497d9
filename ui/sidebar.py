"""The sidebar of every page: a form for a new run, and the queue of those under way."""

from __future__ import annotations

from typing import Any

import streamlit as st
from pydantic import ValidationError

from ui import jobs, widgets
from vae import data, runs
from vae.config import DATA_SHAPES, DOWNLOADED, PRESETS, ConfigError, RunConfig, explain
from vae.data import DataError
from vae.model import count_parameters, flops_per_datum, refuse_absurd
from vae.runs import RunError, State, Status
from vae.train import choose_device

#: Floating-point operations a second of one training thread, for the estimate of the time.
SPEED = 4e10
#: Sizes of the training sets that need no download, for the same estimate.
N_TRAIN = {"mnist-subset": 10_000, "digits": 1_437, "shapes": 10_000}

POLL = 1.0


def show() -> None:
    """Draws the sidebar; it refreshes itself only while something waits or trains."""
    seen = widgets.states()
    active = any(state in runs.ACTIVE for state in seen.values())
    st.fragment(_sidebar, run_every=POLL if active else None)(seen)


def _sidebar(seen: dict[str, State]) -> None:
    """Form and queue, redrawn on their own; the page follows when a run's state changes."""
    st.subheader("Train a model")
    config = _form()
    _train_button(config)
    _queue()
    if widgets.states() != seen:
        st.rerun()


def _form() -> RunConfig | None:
    """A preset as it is, or with any field changed; ``None`` while a field is wrong."""
    preset = PRESETS[st.selectbox("Preset", list(PRESETS), index=1, key="preset")]
    with st.expander("All settings"):
        fields = _fields(preset)
    try:
        config = RunConfig(**fields)
        refuse_absurd(config)
        choose_device(config)
    except ValidationError as error:
        st.error(explain(error))
    except ConfigError as error:
        st.error(str(error))
    else:
        n_train = N_TRAIN.get(config.dataset, 60_000)
        seconds = config.epochs * n_train * flops_per_datum(config) / SPEED
        st.caption(
            f"{count_parameters(config):,} parameters · {config.epochs} epochs of {n_train:,} "
            f"data · about {widgets.duration(max(2, seconds))} on one core"
        )
        if not data.available(config.dataset):
            st.caption(
                f"{config.dataset} is not here yet: it is downloaded first. If that fails, the "
                "bundled cut of MNIST (10,000 images) is used, and said."
            )
        return config
    return None


def _fields(preset: RunConfig) -> dict[str, Any]:
    """Every field of a configuration as a widget, starting from the preset's value."""

    def key(field: str) -> str:
        return f"form-{preset.name}-{field}"

    def choose(label: str, field: str, options: list[str], help: str) -> str:
        at = options.index(getattr(preset, field))
        return st.selectbox(label, options, at, key=key(field), help=help)

    def number(label: str, field: str, help: str, **limits: Any) -> Any:
        value = getattr(preset, field)
        return st.number_input(label, value=value, key=key(field), help=help, **limits)

    st.markdown("**Data**")
    fields: dict[str, Any] = {
        "name": st.text_input("Name", preset.name, max_chars=80, key=key("name")),
        "dataset": choose(
            "Data set",
            "dataset",
            list(DATA_SHAPES),
            "mnist-subset, digits, shapes and the two plane sets come with the app; the others "
            "are downloaded once.",
        ),
        "binarisation": choose(
            "Binarisation",
            "binarisation",
            ["dynamic", "fixed", "none"],
            "Grey pixels become black or white: drawn afresh each time they are seen, drawn "
            "once, or not at all.",
        ),
    }
    st.markdown("**Model**")
    hidden = st.text_input(
        "Hidden sizes",
        ", ".join(map(str, preset.hidden)),
        key=key("hidden"),
        help="mlp: widths of the layers, such as 400, 200. conv: two numbers of channels and the "
        "width of a dense layer, such as 16, 32, 256.",
    )
    fields |= {
        "body": choose(
            "Body",
            "body",
            ["mlp", "conv"],
            "mlp: fully connected. conv: two convolutions and a dense layer.",
        ),
        "hidden": _sizes(hidden),
        "activation": choose(
            "Activation", "activation", ["relu", "tanh"], "The function between two layers."
        ),
        "latent_dim": number(
            "Latent dimensions",
            "latent_dim",
            "Length of the code z. Two dimensions can be seen whole, on a plane.",
            step=1,
        ),
        "likelihood": choose(
            "Likelihood p(x|z)",
            "likelihood",
            ["bernoulli", "continuous-bernoulli", "gaussian"],
            "Bernoulli for binary pixels; the others for grey ones, with binarisation none.",
        ),
    }
    st.markdown("**Objective**")
    fields |= {
        "objective": choose(
            "Objective", "objective", ["elbo", "iwae"], "The bound that training raises."
        ),
        "k": number(
            "K, samples of the IWAE bound",
            "k",
            "Draws of z per image in the IWAE bound; the ELBO takes 1.",
            step=1,
        ),
        "beta": number(
            "β", "beta", "Weight of the rate in training; a reported ELBO never has it.", step=0.5
        ),
        "beta_warmup": number(
            "β warm-up (epochs)", "beta_warmup", "β rises from 0 over these epochs.", step=1
        ),
    }
    st.markdown("**Optimisation**")
    fields |= {
        "epochs": number("Epochs", "epochs", "Passes over the data.", step=1),
        "batch_size": number("Batch size", "batch_size", "Data per step.", step=1),
        "learning_rate": number(
            "Learning rate", "learning_rate", "Of Adam.", step=1e-4, format="%g"
        ),
        "schedule": choose(
            "Schedule", "schedule", ["constant", "cosine"], "How the learning rate moves."
        ),
        "max_grad_norm": number(
            "Largest gradient norm", "max_grad_norm", "Longer gradients are shortened.", step=10.0
        ),
        "seed": number("Seed", "seed", "Decides every random number of the run.", step=1),
        "device": choose("Device", "device", ["auto", "cpu", "cuda"], "auto: a GPU if any."),
        "evaluate_every": number(
            "Evaluate every (epochs)",
            "evaluate_every",
            "How often the curves get a point and the plane is kept.",
            step=1,
        ),
    }
    return fields


def _sizes(text: str) -> list[Any]:
    """Numbers from a list with commas; what is no number is left for the check to name."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return [int(part) if part.isdecimal() else part for part in parts]


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
            text = f"epoch {status.epoch}/{status.epochs}"
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
    if status.epoch:
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


def _undo(run_id: str) -> None:
    """Brings the run deleted last back."""
    st.session_state.pop("deleted", None)
    _do(runs.restore, run_id)
