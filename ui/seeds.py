"""Seeds in the link: what was drawn at random is the same for everybody who opens it."""

from __future__ import annotations

import streamlit as st


def seed(name: str) -> int | None:
    """The seed of that name, if there is one and it is a whole number."""
    text = st.query_params.get(name, "")
    return int(text) % 2**31 if text.isdecimal() and len(text) < 12 else None


def again(name: str) -> None:
    """Puts the next seed into the link."""
    st.query_params[name] = str((seed(name) or 0) + 1)


def forget(name: str) -> None:
    """Takes a seed out of the link."""
    st.query_params.pop(name, None)
