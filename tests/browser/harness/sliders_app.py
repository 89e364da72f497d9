"""A small app around three sliders, whose picture is as bright as z1 is large."""

from __future__ import annotations

import numpy as np
import streamlit as st
from canvas_app import png
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ui import serving


def decode(request: Request) -> Response:
    """Answer one grey: 128 at z1 = 0, 20 more for each unit."""
    z = [float(v) for v in request.query_params["z"].split(",")]
    return png(np.full((4, 4), round(128 + 20 * z[0]), np.uint8))


app = st.App("sliders_page.py", routes=[serving.route, Route("/api/decode", decode)])
