"""All dimensions: sliders in the order of what they carry, and a sheet one can click."""

from __future__ import annotations

import json

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.opening import open_page, plane_data, texts
from ui import cache, traversals
from ui.tools import dimensions as tool
from vae import dimensions


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What the hand does to the sliders and the sheet in the next run: once."""
    did: dict[str, object] = {}
    for name in ("sliders", "sheet"):
        shown = getattr(tool, name)

        def once(*args, name=name, shown=shown, **settings):
            shown(*args, **settings)
            return did.pop(name, None)

        monkeypatch.setattr(tool, name, once)
    return did


def component(app: AppTest, name: str) -> dict:
    """What one of the components was given."""
    protos = [element.proto for element in app.get("bidi_component")]
    return next(json.loads(p.json) for p in protos if p.component_name == name)


def test_sliders_stand_in_the_order_of_their_rates(trained):
    app = open_page("latent_space", run=trained[5], tool="Dimensions", z="1,0,-0.5,0,2")
    data = component(app, "latent_sliders")
    shown = cache.points(trained[5], "held_out")
    rates = dimensions.rates(shown.loc, shown.scale)
    assert data["order"] == np.argsort(-rates).tolist() and data["z"] == [1, 0, -0.5, 0, 2]
    assert [d["about"].split()[0] for d in data["dimensions"]] == [f"{r:.2f}" for r in rates]
    within = np.array([[d["from"], d["to"]] for d in data["dimensions"]])[:, :, None]
    share = ((shown.loc.T - within[:, 0] > 0) & (within[:, 1] - shown.loc.T > 0)).mean(1)
    np.testing.assert_allclose(share, 0.95, atol=0.02)  # ends are rounded to the hundredth
    active = int(dimensions.active(shown.loc).sum())
    assert f"**{active} of 5** dimensions are used" in texts(app)


def test_a_dimension_that_is_not_used_is_named_so(trained, monkeypatch):
    before = traversals.traits(trained[5])
    unused = before._replace(active=np.array([True, False, True, True, True]))
    monkeypatch.setattr(traversals, "traits", lambda run_id: unused)
    app = open_page("latent_space", run=trained[5], tool="Dimensions")
    second = component(app, "latent_sliders")["dimensions"][1]
    assert second["name"] == "z2" and second["about"].endswith("not used") and not second["used"]
    assert "**4 of 5** dimensions are used" in texts(app)


def test_a_slider_that_was_let_go_chooses_a(trained, hand):
    app = open_page("latent_space", run=trained[5], tool="Dimensions")
    assert plane_data(app)["picks"] == [] and component(app, "latent_sliders")["z"] == [0] * 5
    hand["sliders"] = np.array([0, 0, 0, 1.25, 0])
    app.run()
    assert not app.exception and app.query_params["z"] == "0,0,0,1.25,0"
    assert component(app, "latent_sliders")["z"] == [0, 0, 0, 1.25, 0]
    picks, where = plane_data(app)["picks"], cache.plane(trained[5], "pca")
    np.testing.assert_allclose(picks[0]["p"], where.basis @ [0, 0, 0, 1.25, 0], atol=1e-6)
    next(button for button in app.button if button.label == "Set all to 0").click().run()
    assert app.query_params["z"] == "0,0,0,0,0"


def test_a_click_in_the_sheet_chooses_its_place(trained, hand):
    app = open_page("latent_space", run=trained[5], tool="Dimensions", z="1,0,0,0,0.5", datum="3")
    sheet, order = component(app, "picture_sheet"), traversals.traits(trained[5]).order
    assert (sheet["rows"], sheet["columns"]) == (5, 13) and "at=1%2C0%2C0%2C0%2C0.5" in sheet["url"]
    assert [name.split(",")[0] for name in sheet["row_names"]] == [f"z{d + 1}" for d in order]
    hand["sheet"] = (2, 12)
    app.run()
    expected = np.array([1, 0, 0, 0, 0.5])
    expected[order[2]] = 3
    assert app.query_params["z"] == ",".join(f"{x:g}" for x in expected)
    assert "datum" not in app.query_params, "the place is no datum's any more"
    assert component(app, "picture_sheet")["chosen"] == [2, 12]


def test_two_dimensions_have_their_sliders_too(trained):
    app = open_page("latent_space", run=trained[2], tool="Dimensions")
    assert not app.exception and len(component(app, "latent_sliders")["order"]) == 2
    assert not [toggle for toggle in app.toggle if toggle.key == "every"]
