"""A page by AppTest: open it, and read what it says and what its plane was given."""

from __future__ import annotations

import json
from pathlib import Path

from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "pages"


def open_page(name: str, **query: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "ui" / "main.py"), default_timeout=30)
    for key, value in query.items():
        app.query_params[key] = value
    app.run()
    if name != "overview":
        app.switch_page(str(PAGES / f"{name}.py")).run()
    assert not app.exception, app.exception
    return app


def plane_data(app: AppTest) -> dict:
    """What the plane component was given."""
    protos = [element.proto for element in app.get("bidi_component")]
    return next(data for proto in protos if "backdrop" in (data := json.loads(proto.json or "{}")))


def texts(app: AppTest) -> str:
    kinds = (app.markdown, app.caption, app.warning, app.info, app.error)
    return "\n".join(element.value for kind in kinds for element in kind)
