"""A small app around a plane with a lasso and outlines, and a flipbook whose ring walks in it."""

from __future__ import annotations

import streamlit as st
from canvas_app import decode, points, sprite
from starlette.routing import Route

from ui import serving

app = st.App(
    "walk_page.py",
    routes=[
        serving.route,
        Route("/api/decode", decode),
        Route("/api/sprite", sprite),
        Route("/api/points", points),
    ],
)
