"""What pages share: choosing a run, explaining a figure, showing the code behind it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import streamlit as st
from streamlit.errors import StreamlitAPIException

from ui import cache
from vae import runs
from vae.analysis import about_conditional
from vae.data import DataError
from vae.evaluate import Split
from vae.runs import Run, RunError, State, Status

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from streamlit.delta_generator import DeltaGenerator

PAGES = Path(__file__).resolve().parent.parent / "pages"

#: What the two halves of a data set are called.
SPLITS = {"held_out": "held-out", "train": "training"}

STATE_WORDS = {
    "queued": "waiting",
    "running": "training",
    "finished": "finished",
    "stopped": "stopped",
    "failed": "failed",
    "diverged": "diverged",
    "interrupted": "interrupted",
}


def title(run_id: str) -> str:
    """What people call a run: its id, after its name where that says something else."""
    try:
        name = runs.read_config(run_id).name
    except RunError:
        return run_id
    plainly = re.fullmatch(rf"{re.escape(name)}(-[0-9a-f]{{4}})?", run_id)
    return run_id if not name or plainly else f"{name} · {run_id}"


def pick_run(
    notices: DeltaGenerator | None = None,
    kind: Literal["VAE", "VQ-VAE"] = "VAE",
    load: Callable[[str], Run] = cache.run,
) -> Run:
    """Asks for a run of a kind (kept in the URL as ``run``), and stops the page kindly if it has no
    model; what there is to say stands in ``notices``, else here."""
    notices = st.container() if notices is None else notices
    st.session_state.update(st.session_state.pop("brought", {}))
    every = runs.ids()
    ids = [run_id for run_id in every if kind_of(run_id) in (kind, None)]
    if not ids:
        st.info(f"There is no {kind} yet: choose a preset in the sidebar and press Train.")
        st.stop()
    asked, last = st.query_params.get("run"), st.session_state.get(f"last {kind}")
    picked = "run-picked" if kind == "VAE" else "codes-picked"
    if asked in every and asked not in ids:  # said until another run is chosen, or the page left
        st.session_state["sent-away"] = asked
    elif asked is None:
        st.session_state.pop("sent-away", None)
    elif asked not in ids:
        notices.warning(
            f"There is no run “{plain(asked)}”: it was deleted, or the link is wrong. "
            "Another is shown instead."
        )
    if asked in ids and asked != last:
        st.session_state[picked] = asked
    elif st.session_state.get(picked) not in ids:
        st.session_state[picked] = last if last in ids else ids[0]
    run_id = st.selectbox("Run", ids, key=picked, format_func=title)
    st.session_state[f"last {kind}"] = st.query_params["run"] = run_id
    if (other := st.session_state.get("sent-away")) and (asked in (other, run_id)):
        with notices:
            _send_to_its_page(other, kind_of(other))
    else:
        st.session_state.pop("sent-away", None)
    try:
        run = load(run_id)
        cache.label_names(run_id)  # its data are here
    except (RunError, DataError) as error:
        notices.warning(str(error))
        st.stop()
    if run.notice:
        notices.warning(run.notice)
    return run


def kind_of(run_id: str) -> Literal["VAE", "VQ-VAE"] | None:
    """What a run is; nothing if its configuration cannot be read."""
    try:
        return "VQ-VAE" if runs.read_config(run_id).is_vq else "VAE"
    except RunError:
        return None


def _send_to_its_page(run_id: str, kind: str | None) -> None:
    """What to say of a run that another page shows, with the way there."""
    if kind == "VQ-VAE":
        st.info(
            f"{plain(run_id)} is a VQ-VAE: its latents are codes, not numbers, and have a page of "
            "their own. A VAE is shown here instead."
        )
        link("codebook", f"Open {plain(run_id)} on the Codebook page", run=run_id)
    else:
        st.info(
            f"{plain(run_id)} is a VAE: its latents are numbers, and it has no codebook. A VQ-VAE "
            "is shown here instead."
        )
        link("latent_space", f"Open {plain(run_id)} on the Latent space page", run=run_id)


def keep_to(run: Run) -> None:
    """Begins the page again if its run was deleted meanwhile: it says so, and shows another."""
    if run.id not in runs.ids():
        st.rerun()


def refuse_conditional(run: Run) -> None:
    """Stops a page about log p(x) kindly, where the run is told a label."""
    if run.config.conditional:
        st.info(f"{about_conditional(run)} Choose another run to see this page at work.")
        st.stop()


def pick_weights(run: Run) -> int | None:
    """Asks for one of the epochs whose weights were kept; ``None`` for the newest."""
    past = runs.past(run.id)
    epoch = st.selectbox(
        "Epoch",
        [run.epoch, *past[::-1]],
        key="epoch",
        bind="query-params",
        format_func=lambda e: f"{e} (newest)" if e == run.epoch else str(e),
        disabled=not past,
        help="The epochs whose weights were kept." if past else "Only the newest weights are kept.",
    )
    return None if epoch == run.epoch else int(epoch)


def pick_split() -> Split:
    """Asks for held-out or training data."""
    return st.selectbox(
        "Data", list(SPLITS), key="split", bind="query-params", format_func=SPLITS.get
    )


def states(ids: list[str] | None = None) -> dict[str, State]:
    """The state of each run that is there; of all runs, if none are named."""
    found = {}
    for run_id in runs.ids() if ids is None else ids:
        try:
            found[run_id] = runs.status(run_id).state
        except RunError:
            continue  # deleted a moment ago
    return found


def epoch_of(run_id: str, status: Status) -> str:
    """How far a training is: the epoch, and whether the prior over codes has its turn."""
    whole = f"epoch {status.epoch} of {status.epochs}"
    try:
        config = runs.read_config(run_id)
    except RunError:
        return whole
    if not config.prior_epochs:
        return whole
    if status.epoch < config.epochs:
        return f"stage 1 of 2, codes: epoch {status.epoch} of {config.epochs}"
    done = status.epoch - config.epochs
    return f"stage 2 of 2, prior over codes: epoch {done} of {config.prior_epochs}"


def link(page: str, label: str, **query: str) -> None:
    """A link to another page, by the name of its file."""
    icon = ":material/arrow_forward:"
    st.page_link(PAGES / f"{page}.py", label=label, icon=icon, query_params=query or None)


def go_to(page: str, settings: dict[str, object], **query: str) -> None:
    """Goes to another page. What its widgets hold in the URL is set there, by ``pick_run``: while
    a widget of this page holds it too, Streamlit lets nobody else write it."""
    st.session_state["brought"] = settings
    st.switch_page(PAGES / f"{page}.py", query_params=query)


def rerun_fragment() -> None:
    """Runs the fragment again; the whole page, where a full run took the event along."""
    try:
        st.rerun(scope="fragment")
    except StreamlitAPIException:
        st.rerun()


def look_for(text: str) -> None:
    """The line under a figure that says where to look."""
    st.caption(f"**What to look for.** {text}")


def chart(figure: go.Figure, *, key: str, alt: str) -> None:
    """A figure without the toolbar that would lie over its legend."""
    st.plotly_chart(figure, key=key, alt=alt, config={"displayModeBar": False})


def explain(formula: str, text: str, source: str) -> None:
    """A formula, what it means, and where it comes from."""
    st.latex(formula)
    st.markdown(f"{text}  \n*Source: {source}.*")


def show_source(*functions: Callable[..., object]) -> None:
    """The code behind a page, as it runs."""
    with st.expander("The code behind this page"):
        for function in functions:
            st.code(inspect.getsource(inspect.unwrap(function)), language="python")


def nats(value: float, standard_error: float | None = None) -> str:
    """A number of nats with its standard error, in one piece: −134.9 ± 1.1."""
    error = (
        ""
        if standard_error is None
        else f"\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{standard_error:.1f}"
    )
    return f"{value:.1f}".replace("-", "−") + error


def precise(value: float) -> str:
    """A number of nats to the hundredth, a small one to the thousandth: −134.92, 0.034.

    Example:
        >>> precise(-1.234), precise(0.0342)
        ('−1.23', '0.034')
    """
    return f"{value:.{2 if abs(value) >= 1 else 3}f}".replace("-", "−")


def plain(text: str) -> str:
    """Text of a stranger, shown as it is: no markdown, links or pictures, and not too long."""
    return "".join(f"\\{c}" if c in r"\`*_{}[]()#+-.!|<>~:$" else c for c in text[:80])


def duration(seconds: float) -> str:
    """Seconds in words: 8 s, 3 min 20 s, 2 h 5 min."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"
