"""What `streamlit run app.py` starts: the server with its jobs and routes; pages are in ui/main."""

from __future__ import annotations

import os

# Before torch is loaded: a waiting thread must not spin while a training run needs the core.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import streamlit as st

from ui import server

app = st.App("ui/main.py", lifespan=server.lifespan, routes=server.routes)
