"""Components fetch their code by URL: it comes whole, is kept, and is not sent with the data."""

from __future__ import annotations

import hashlib
import re

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from ui import serving


@pytest.fixture
def client() -> TestClient:
    return TestClient(Starlette(routes=[serving.route]))


@pytest.fixture
def loader(monkeypatch: pytest.MonkeyPatch) -> str:
    """What Streamlit is told of a component; its code uses every kind of quotes."""
    told: list[str] = []
    monkeypatch.setattr(serving.st.components.v2, "component", lambda name, *, js: told.append(js))
    serving.component(
        "test_quotes",
        html='<p title="it\'s">`</p>',
        css='p::before { content: "\\201C"; }',
        js="export default function render() {}",
    )
    return told[0]


def test_the_loader_names_the_code_that_is_there(client, loader):
    url = re.search(r'"(/api/component/[^"]+)"', loader).group(1)
    answer = client.get(url)
    assert answer.status_code == 200 and "javascript" in answer.headers["content-type"]
    assert "immutable" in answer.headers["cache-control"]
    digest = hashlib.sha256(answer.content).hexdigest()
    assert url == f"/api/component/test_quotes.js?v={digest[:12]}"
    assert "function render()" in answer.text and "export function start(" in answer.text
    assert r"<p title=\"it's\">`</p>" in answer.text and r"\\201C" in answer.text


def test_only_the_loader_is_sent_with_the_data(loader):
    assert len(loader) < 200


def test_an_unknown_component_is_said(client):
    answer = client.get("/api/component/none.js")
    assert answer.status_code == 404 and answer.text.endswith(".")
