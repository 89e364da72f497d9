"""The codebook in a plane: where codes lie, who uses them, how they got there, what they draw."""

from __future__ import annotations

from functools import partial

import numpy as np
import streamlit as st

from ui import cache, code_plane, codes, figures, strips, widgets
from ui.canvas import plane
from vae import latent, runs
from vae.runs import Run

#: Places of data that are shown for a code.
N_USERS = 24


def show(run: Run) -> None:
    """The plane, and beneath it the code that was clicked."""
    level = pick_level(run)
    kept = code_plane.epochs(run.id)
    replayed = st.toggle(
        "Replay the training",
        key="replay",
        bind="query-params",
        disabled=len(kept) < 2,
        help="Codes, cells and encoder outputs after each epoch that was kept."
        if len(kept) > 1
        else "This run has kept one epoch only.",
    )
    selected = chosen(run)
    data = code_plane.data(run.id, level, selected, replayed=replayed)
    plane("codebook-plane", data=data, height=560, on_pick=partial(_pick, run))
    widgets.look_for(_hint(run, replayed))
    if selected is None:
        st.info("Click a code to see what it draws, who uses it, and which codes are near.")
    else:
        _about(run, level, selected)


def pick_level(run: Run) -> int:
    """Asks for one of the levels of residual codes; there is often one only."""
    levels = run.config.levels
    if levels == 1:
        return 0
    return st.segmented_control(
        "Level",
        list(range(levels)),
        default=0,
        required=True,
        key=f"level-{levels}",
        format_func=lambda level: f"level {level + 1}",
        help="The first codebook quantises the encoder's vector, each further one what is left.",
    )


def chosen(run: Run) -> int | None:
    """The code that was clicked, kept in the URL as ``code``."""
    text = st.query_params.get("code", "")
    if not text:
        return None
    if text.isdecimal() and int(text) < run.config.n_codes:
        return int(text)
    del st.query_params["code"]
    st.info(f"There is no code {widgets.plain(text)}: this run has {run.config.n_codes} of them.")
    return None


def _pick(run: Run) -> None:
    """Keeps the code that was clicked, before the page runs again."""
    picked = st.session_state["codebook-plane"].get("pick")
    if picked and picked.get("code") is not None:
        st.query_params["code"] = str(int(picked["code"]))


def _hint(run: Run, replayed: bool) -> str:
    """What the plane shows."""
    config = run.config
    if replayed and config.quantiser == "fsq":
        return "Press Play: the lattice stands still, and the encoder's answers spread over it."
    if replayed:
        begin = (
            "Codes begin among the answers of the untrained encoder, by k-means"
            if config.kmeans_init
            else "Codes begin in a heap at the middle"
        )
        end = ", and dead ones jump to where answers are" if config.revival else ""
        return (
            f"Press Play. {begin}; as the answers spread, codes follow those that chose them{end}. "
            "What stands beneath the plane is of the last epoch."
        )
    if code_plane.cells(run.config):
        return (
            "Each cell belongs to the code inside it: every encoder output (small dot) in the cell "
            "is replaced by that code. The larger a code, the more data use it; a cross is one "
            "that none of these data use. "
            + (
                "All cells are alike: the lattice does not move to where data are."
                if config.quantiser == "fsq"
                else "Cells are small where data crowd: codes are spent where they save most."
            )
        )
    return (
        "The plane in which the codes spread most; other dimensions are not seen, so codes that "
        "overlap here may lie far apart. The larger a code, the more data use it; a cross is one "
        "that "
        "none of these data use."
    )


def _about(run: Run, level: int, code: int) -> None:
    """What one code draws, where it is used, and what lies near."""
    counts = codes.spending(run.id, "held_out").counts[level]
    side, n = run.config.map_side, int(counts.sum())
    rank = int((counts > counts[code]).sum()) + 1
    st.subheader(f"Code {code}")
    if counts[code] == 0:
        st.warning(
            f"Code {code} is dead, as far as these data tell: none of {n:,} held-out latents chose "
            "it. It still decodes to something."
        )
    else:
        st.markdown(
            f"Used by **{counts[code]:,}** of {n:,} held-out latents ({counts[code] / n:.2%}; an "
            f"even share would be {1 / len(counts):.2%}): number {rank} of {len(counts)}."
        )
    left, right = st.columns([2, 3], gap="large")
    with left:
        _drawn(run, level, code, side)
    with right:
        _used(run, level, code, side)
        _near(run, level, code)


def _drawn(run: Run, level: int, code: int, side: int) -> None:
    """What it decodes to, place by place."""
    st.markdown("**What it decodes to**")
    others = " The other levels name their most frequent codes." * (run.config.levels > 1)
    if side == 1:
        picture = figures.enlarge(codes.filled(run.id, level, code), 224)
        st.image(picture, width=224, alt=f"The picture that code {code} decodes to")
        whole = "One code says the whole image, so this picture is all that it can say."
        st.caption(others.strip() or whole)
        return
    pictures = codes.everywhere(run.id, level, code)
    local = codes.is_local(run.config)
    if local:
        pictures = [codes.cut(p, side, *divmod(i, side), around=0) for i, p in enumerate(pictures)]
    tiles = np.stack([figures.enlarge(picture, 440 // side) for picture in pictures])
    sheet = latent.mosaic(tiles.reshape(side, side, *tiles.shape[1:]), 2)
    alt = f"Code {code} decoded at each place of the map"
    st.image(sheet, width="stretch", alt=alt)
    st.caption(
        (
            "Each cell as it comes out when this code stands there, all other places as they are "
            "most often. The same code can draw different things in different places, since the "
            "decoder sees its neighbours."
            if local
            else "The whole image when this code stands at each place of the map in turn, all "
            "other places as they are most often: a fully connected decoder may change any pixel."
        )
        + others
    )
    filled = figures.enlarge(codes.filled(run.id, level, code), 168)
    st.image(filled, width=168, alt=f"A map that names code {code} everywhere, decoded")
    st.caption("And at all places at once.")


def _used(run: Run, level: int, code: int, side: int) -> None:
    """The data that use it."""
    patches = codes.is_local(run.config)
    st.markdown("**Patches of data that use it**" if patches else "**Data that use it**")
    users = codes.users(run.id, "held_out", level, code, N_USERS)
    if not users:
        st.caption("None.")
        return
    pictures = cache.thumbnails(run.id, "held_out", [index for index, _, _ in users])
    if patches:
        pictures = [codes.cut(p, side, r, c) for p, (_, r, c) in zip(pictures, users, strict=True)]
    strips.strip(pictures, [f"{index}" for index, _, _ in users], side=4.2)
    st.caption(
        "Held-out images by their number, spread over all that use it."
        if not patches
        else "Each is the middle cell with the eight around it, cut out of a held-out image, whose "
        "number stands below."
    )


def _near(run: Run, level: int, code: int) -> None:
    """The codes around it."""
    near, far = codes.neighbours(run.id, level, code)
    st.markdown("**Its nearest codes**")
    tiles = codes.patches(run.id, level)[near]
    captions = [f"{k} · {d:.2f}" for k, d in zip(near, far, strict=True)]
    strips.strip(list(tiles), captions, side=5.5)
    st.caption(
        "The code's number, and its distance. Neighbours that draw alike share one meaning among "
        "them; neighbours that differ show that the decoder bends between them."
    )


def newest(run: Run) -> None:
    """Says of which epoch the page is, if the run goes on training."""
    if runs.status(run.id).state in runs.ACTIVE:
        st.info(
            f"This run is still training: what is shown is epoch {run.epoch}. With its next "
            "checkpoint codes change their meaning, and edits of a code map begin anew."
        )
