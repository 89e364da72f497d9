"""The script that Streamlit runs: page settings, navigation, and the sidebar on every page."""

from __future__ import annotations

import base64
from pathlib import Path

import streamlit as st

from ui import sidebar
from ui.widgets import PAGES

HERE = Path(__file__).parent
#: Its bytes, not its address: a browser fetches an icon again whenever the page's address changes.
ICON = "data:image/png;base64," + base64.b64encode((HERE / "icon.png").read_bytes()).decode()

st.set_page_config(page_title="ELBO Room", page_icon=ICON, layout="wide")
st.html(HERE / "style.css")

page = st.navigation(
    [
        st.Page(PAGES / "overview.py", title="Overview", icon=":material/home:", default=True),
        st.Page(PAGES / "latent_space.py", title="Latent space", icon=":material/scatter_plot:"),
        st.Page(PAGES / "training.py", title="Training", icon=":material/show_chart:"),
        st.Page(PAGES / "likelihood.py", title="Likelihood", icon=":material/straighten:"),
        st.Page(PAGES / "inference.py", title="Inference", icon=":material/my_location:"),
        st.Page(PAGES / "codebook.py", title="Codebook", icon=":material/grid_view:"),
    ]
)
with st.sidebar:
    sidebar.show()
page.run()
