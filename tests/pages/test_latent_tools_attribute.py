"""Directions: groups by label and by loop, the numbers, what is drawn, and analogies."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.opening import open_page, plane_data, texts
from tests.pages.test_latent_tools_path import book, button
from ui.groups import Between
from ui.tools import attribute
from vae import directions

BOX = "-1.00_-1.00~1.00_-1.00~1.00_1.00~-1.00_1.00"


def open_tool(run_id: str, **query: str) -> AppTest:
    return open_page("latent_space", run=run_id, tool="Directions", **query)


def groups_of(run_id: str, first: int, second: int) -> list[np.ndarray]:
    from ui import cache

    shown = cache.points(run_id, "held_out")
    return [shown.loc[shown.labels == label].astype(float) for label in (first, second)]


def shown_metrics(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


@pytest.mark.parametrize("dim", [2, 5])
def test_two_labels_give_the_direction_and_what_it_separates(dim, trained):
    app = open_tool(trained[dim], group1="3", group2="4")
    pair = groups_of(trained[dim], 3, 4)
    v, apart = directions.mean_difference(*pair), directions.separation(*pair)
    said = shown_metrics(app)
    assert said["Length (units of z)"] == f"{v.length:.2f} ± {v.length_se:.2f}"
    area = f"{apart.auc:.3f} ± {apart.standard_error:.3f}"
    assert said["Separation (AUC)"] == (area if apart.auc < 0.9995 else "> 0.999")
    assert f"{len(pair[0]):,} and {len(pair[1]):,} data" in texts(app)


def test_another_label_moves_the_arrow(trained):
    app = open_tool(trained[2], group1="3", group2="4")
    for label in (3, 7):
        app.selectbox(key="group1").select(str(label)).run()
        first, second = groups_of(trained[2], label, 4)
        (arrow,) = plane_data(app)["paths"]
        np.testing.assert_allclose(arrow["points"][0], second.mean(0), atol=1e-4)
        np.testing.assert_allclose(arrow["points"][1], first.mean(0), atol=1e-4)
    assert app.query_params["group1"] == "7"


def test_the_direction_is_applied_to_a(trained):
    app = open_tool(trained[2], group1="3", group2="4", z="0.5,-0.5")
    first, second = groups_of(trained[2], 3, 4)
    v, a = first.mean(0) - second.mean(0), np.array([0.5, -0.5])
    shown = book(app)
    assert shown["places"][0] == pytest.approx(a - 2 * v, abs=1e-3)
    assert shown["places"][-1] == pytest.approx(a + 2 * v, abs=1e-3)
    assert shown["places"][shown["start"]] == pytest.approx(a)
    assert [path["label"] for path in plane_data(app)["paths"]] == ["direction", "A along it"]
    assert "Click the plane to choose the place A" in texts(open_tool(trained[2]))


def test_a_loop_in_the_link_is_drawn_and_holds_what_lies_in_it(trained):
    from ui import cache

    app = open_tool(
        trained[2], group1="drawn in the plane", group2="4", loop1=f"{trained[2]}~0,1~{BOX}"
    )
    shown = cache.points(trained[2], "held_out")
    within = (np.abs(shown.loc) < 1).all(axis=1)
    other = shown.labels == 4
    (polygon,) = plane_data(app)["polygons"]
    assert polygon["points"] == [[-1, -1], [1, -1], [1, 1], [-1, 1]]
    counts = f"{(within & ~other).sum():,} and {(other & ~within).sum():,} data"
    assert counts in texts(app) and f"{(within & other).sum()} are in both" in texts(app)
    assert "their separation says nothing" in texts(app) and "by chance about" not in texts(app)
    assert list(shown_metrics(app)) == ["Length (units of z)"]
    app.selectbox(key="group1").select("3").run()
    assert plane_data(app)["polygons"] == [] and "loop1" not in app.query_params
    assert "Separation (AUC)" in shown_metrics(app) and "by chance about" in texts(app)


def verdict(auc: float, se: float, length: float = 1.0) -> str:
    found = directions.Direction(np.ones(2), np.ones(2), length, 0.1, 0.4)
    apart = None if np.isnan(auc) else directions.Separation(auc, se)
    return attribute._verdict(Between((np.arange(30),) * 2, 0, found, apart, None, False))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((np.nan, 0.0), "fewer than 20 data"),
        ((0.56, 0.04), "is not shown"),
        ((0.6, 0.04), "overlap widely"),
        ((0.94, 0.01), "yet the groups overlap"),
        ((0.96, 0.01), "well above what chance makes and a separation near 1"),
        ((0.96, 0.01, 0.7), "A separation near 1"),
    ],
)
def test_no_more_is_said_of_a_direction_than_its_numbers_bear(given, said):
    assert said in verdict(*given)


@pytest.mark.parametrize(
    "loop",
    [
        "other-2d~0,1~" + BOX,
        "RUN~1,0~" + BOX,
        "RUN~0,1~1_1~2_x~0_0",
        "RUN~0,1~1_1~2_2",
        "RUN",
        "~~~",
    ],
)
def test_a_loop_of_elsewhere_or_of_nonsense_waits_for_another(loop, trained):
    loop = loop.replace("RUN", trained[2])
    app = open_tool(trained[2], group1="drawn in the plane", loop1=loop)
    assert "Group 1 waits for a loop" in texts(app) and not app.exception
    assert plane_data(app)["polygons"] == [] and plane_data(app)["paths"] == []


def test_the_lasso_is_offered_and_a_loop_from_it_is_kept(trained):
    assert len(plane_data(open_tool(trained[2]))["lasso"]["groups"]) == 2

    def script(run_id: str) -> None:
        import numpy as np
        import streamlit as st

        from ui import cache, groups, places

        view = places.view(cache.run(run_id), "held_out", "labels", "0,1", None)
        turn = np.linspace(0, 2 * np.pi, 101)[:-1]
        circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
        groups.take(view, {"group": 1, "points": circle.tolist()})
        corners = groups.loop(view, 1)
        radius = np.linalg.norm(corners, axis=1)
        loc = cache.points(run_id, "held_out").loc
        inner, outer = (int((np.linalg.norm(loc, axis=1) < r).sum()) for r in (0.97, 1.01))
        members = len(groups.between(view).members[1]) + groups.between(view).shared
        st.json({"corners": len(corners), "off": float(np.abs(radius - 1).max())})
        st.json({"within": inner <= members <= outer})

    app = AppTest.from_function(script, args=(trained[2],), default_timeout=30).run()
    assert not app.exception
    first, second = (json.loads(element.value) for element in app.json)
    # Corners are rounded to two decimals; the chords between 24 of them stay 0.97 from the centre.
    assert first["corners"] <= 24 and first["off"] < 0.008 and second["within"]


def test_the_same_group_twice_has_no_direction(trained):
    app = open_tool(trained[2], group1="4", group2="4")
    assert "at least two data each that the other does not hold" in texts(app)
    assert plane_data(app)["paths"] == [] and not app.metric


def test_three_other_data_are_shown_on_demand(trained):
    app = open_tool(trained[2])
    rows = re.findall(r"data ([\d, ]+) in the middle", images(app))
    button(app, "Three other data").click().run()
    assert not app.exception and re.findall(r"data ([\d, ]+) in the middle", images(app)) != rows


def test_an_analogy_is_the_step_from_a_to_b_taken_from_c(trained):
    from ui import cache

    app = open_tool(trained[2], **{"analogy-a": "5", "analogy-b": "9", "analogy-c": "11"})
    loc = cache.points(trained[2], "held_out").loc
    answer = loc[11] + loc[9] - loc[5]
    distance = np.linalg.norm(loc - answer, axis=1)
    assert f"datum {distance.argmin()}," in images(app)
    assert f"{distance.min():.2f} away" in images(app)


def test_a_and_b_of_an_analogy_may_be_the_places(trained):
    from ui import cache

    app = open_tool(trained[2], z="1,2", to="-1,0", **{"analogy-c": "11"})
    (switch,) = [t for t in app.toggle if t.key == "analogy-picks"]
    switch.set_value(True).run()
    loc = cache.points(trained[2], "held_out").loc
    distance = np.linalg.norm(loc - (loc[11] + [-2, -2]), axis=1)
    assert f"datum {distance.argmin()}," in images(app) and not app.exception


def images(app: AppTest) -> str:
    """What is written under all pictures."""
    return "\n".join(image.caption for images in app.get("image") for image in images.proto.imgs)
