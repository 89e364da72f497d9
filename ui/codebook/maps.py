"""The code map of one image: each step of its way, and codes to exchange by hand."""

from __future__ import annotations

from urllib.parse import urlencode

import streamlit as st

from ui import cache, codes, widgets
from ui.canvas.codemap import code_map
from vae import runs
from vae.runs import Run


def show(run: Run) -> None:
    """Choose an image, see its map, edit it."""
    n = len(codes.examples(run.id, "held_out"))
    one, two, _ = st.columns([1, 1, 2], vertical_alignment="bottom")
    index = _ask(one, "Image", "image", n, 0)
    other = _ask(two, "Copy codes from", "from", n, 1)
    names = cache.label_names(run.id)
    found, source = (codes.mapped(run.id, "held_out", i) for i in (index, other))
    levels, ask = run.config.levels, _ask_for(run, index)
    code_map(
        f"map-{run.id}",
        pictures=[
            _step(
                "Input x",
                "picture",
                ask,
                f"Held-out image {index}, a {found.label}.",
                which="original",
            ),
            _step(
                "Encoder map",
                "map",
                ask,
                "Its vectors as colours: alike where they are near.",
                which="encoder",
            ),
            _step(
                "Quantised map", "map", ask, "Each vector replaced by its code.", which="quantised"
            ),
            _step(
                "Reconstruction",
                "picture",
                ask,
                "Decoded from the encoder's own codes.",
                which="back",
            ),
            {"title": "Error", "url": None, "caption": "Input less what is decoded now."},
        ],
        codes=found.codes,
        palette=[_palette(run, level) for level in range(levels)],
        colours=[codes.colours(run.id, level) for level in range(levels)],
        decode=f"/api/vq/decode?{ask}",
        distances=f"/api/vq/distances?{ask}",
        second={
            "title": f"Image {other}, a {source.label}",
            "pictures": [f"/api/vq/picture?{_ask_for(run, other)}&which=original"],
            "codes": source.codes,
        },
        names=None,
    )
    bound = -(found.distortion + found.rate)
    widgets.look_for(
        "Hover a cell: how far its vector is from every code; the nearest was chosen. Click it and "
        f"choose another: {_reach(run)}. With the encoder's own codes the bound is "
        f"{widgets.nats(bound)} nats "
        "for this image; any other map gives a bound as well, and now and then a better one, for "
        "the encoder takes the nearest code and not the one that decodes best. Codes of another "
        "image can cost thousands of nats: pixels that they call almost impossible."
    )
    if n > 1 and run.config.map_side > 1:
        st.caption(
            f"A map of {run.config.map_side} × {run.config.map_side} codes; "
            f"{names[0]}, {names[1]} and the others are labels of the data, which the model never "
            "saw."
        )
    widgets.explain(
        r"\log p(x) \;\ge\; \underbrace{\log p(x \mid z_q(k))}_{\text{how well it comes back}} + "
        r"\underbrace{\log p(k)}_{\text{what naming the codes costs}}",
        "It holds for any map k: log p(x) is the log of a sum over all maps, and this is one of "
        "its terms.",
        "van den Oord, Vinyals & Kavukcuoglu 2017, section 3.2",
    )


def _reach(run: Run) -> str:
    """What one code changes."""
    if run.config.n_latents == 1:
        return "the whole image changes, for this one code says all of it"
    if codes.is_local(run.config):
        return (
            "mostly the pixels near the cell change, for a code speaks of its place and a little "
            "beyond"
        )
    return "any pixel may change, for a fully connected decoder gives a cell no place of its own"


def _ask(where: object, label: str, key: str, n: int, default: int) -> int:
    """Asks for one of the held-out images, by number; a link to one that is not there is said."""
    asked = st.query_params.get(key, "")
    if asked and not (asked.isdecimal() and int(asked) < n):
        st.info(f"There is no image {widgets.plain(asked)}: they are numbered 0 to {n - 1}.")
    return where.number_input(
        label,
        0,
        n - 1,
        min(default, n - 1),
        1,
        key=key,
        bind="query-params",
        help=f"One of the first {n:,} held-out data, by its number.",
    )


def _ask_for(run: Run, index: int) -> str:
    """The part of a URL that names a datum and the weights as they are now."""
    stamp = runs.stamp(run.id)
    return urlencode({"run": run.id, "split": "held_out", "index": index, "stamp": stamp})


def _step(title: str, route: str, ask: str, caption: str, **more: str) -> dict[str, str]:
    """A picture of the way."""
    return {"title": title, "url": f"/api/vq/{route}?{ask}&{urlencode(more)}", "caption": caption}


def _palette(run: Run, level: int) -> dict[str, object]:
    """The pictures of all codes of a level."""
    tiles = codes.patches(run.id, level)
    ask = urlencode({"run": run.id, "level": level, "stamp": runs.stamp(run.id)})
    return {"url": f"/api/vq/palette?{ask}", "tile": tiles.shape[1:], "n": len(tiles)}
