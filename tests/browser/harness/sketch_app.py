"""A small app around sketch_page.py: all that it needs is the code of the component."""

from __future__ import annotations

import streamlit as st

from ui import serving

app = st.App("sketch_page.py", routes=[serving.route])
