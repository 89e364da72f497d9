"""Components whose code is fetched once, by URL.

Streamlit sends the HTML, CSS and JavaScript of a component with its data, again and again, whenever
any of its data changes: for the latent plane some 170 kB a click. So what it sends is a few lines
that fetch the code, which the browser then keeps.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from streamlit.components.v2.bidi_component import ComponentResult

#: The code of each component, by name.
_codes: dict[str, str] = {}

#: Goes into the code that is fetched: the elements are put in place before the first rendering.
_WRAP = """
const dressedRoots = new WeakSet();
export function start(component) {
  const root = component.parentElement;
  if (!dressedRoots.has(root)) {
    dressedRoots.add(root);
    root.append(document.createRange().createContextualFragment(CONTENT));
  }
  return render(component);
}
"""

#: All that Streamlit sends of the code; the shorter, the better.
_LOADER = """const { start } = await import(new URL("URL_OF_CODE", document.baseURI).href);
export default start;"""


def component(name: str, *, html: str, css: str, js: str) -> Callable[..., ComponentResult]:
    """Declares a component of which the browser fetches HTML, CSS and JavaScript once.

    Arguments:
        name: Its name, also in the URL.
        html: Its elements.
        css: Its style.
        js: A module whose default export renders it, as for ``st.components.v2.component``: a
            function that is called ``render``.

    Returns:
        What ``st.components.v2.component`` returns.

    Example:
        >>> js = "export default function render() {}"
        >>> mount = component("nothing", html="<p></p>", css="", js=js)
        >>> callable(mount)
        True
    """
    content = json.dumps(f"<div>{html}</div><style>{css}</style>")
    _codes[name] = js + _WRAP.replace("CONTENT", content)
    digest = hashlib.sha256(_codes[name].encode()).hexdigest()[:12]
    url = f"/api/component/{name}.js?v={digest}"
    return st.components.v2.component(name, js=_LOADER.replace("URL_OF_CODE", url))


def _answer(request: Request) -> Response:
    """The code of a component; its address changes when it does."""
    code = _codes.get(request.path_params["name"])
    if code is None:
        return PlainTextResponse("There is no such component.", status_code=404)
    headers = {"Cache-Control": "private, max-age=31536000, immutable"}
    return Response(code, media_type="text/javascript", headers=headers)


route = Route("/api/component/{name}.js", _answer)
