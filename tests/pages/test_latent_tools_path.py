"""From A to B: what the plane is given, what the table says, and how the places are set."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.opening import open_page, plane_data, texts
from vae import geodesic, metric, runs

ENDS = {"z": "1,2", "to": "-1,0"}


def open_tool(run_id: str, **query: str) -> AppTest:
    return open_page("latent_space", run=run_id, tool="Path", **query)


def book(app: AppTest) -> dict:
    """What the flipbook was given."""
    protos = [element.proto for element in app.get("bidi_component")]
    return next(data for proto in protos if "captions" in (data := json.loads(proto.json or "{}")))


def table(app: AppTest) -> dict[str, list[float]]:
    """The rows of the table of lengths: by the decoder, its error, in z."""
    rows = re.findall(r"\| (straight|spherical|geodesic) \| (.+) ± (.+) \| (.+) \|", texts(app))
    return {kind: [float(number) for number in numbers] for kind, *numbers in rows}


def button(app: AppTest, label: str):
    (found,) = [b for b in app.button if b.label == label]
    return found


def test_the_three_paths_are_drawn_from_a_to_b(trained):
    app = open_tool(trained[2], **ENDS)
    paths = {path["label"]: path for path in plane_data(app)["paths"]}
    assert list(paths) == ["straight", "spherical", "geodesic"]
    assert [path["dash"] for path in paths.values()] == [True, False, False]
    assert len({path["colour"] for path in paths.values()}) == 3
    for path in paths.values():
        assert path["points"][0] == [1, 2] and path["points"][-1] == [-1, 0]
    arc = np.linalg.norm(paths["spherical"]["points"], axis=1)
    # From a distance of √5 to one of 1, evenly; the plane's numbers have four decimals.
    np.testing.assert_allclose(np.diff(arc), (1 - 5**0.5) / (len(arc) - 1), atol=2e-4)


def test_the_table_says_the_lengths_by_the_decoder_and_in_z(trained):
    from ui import cache

    app = open_tool(trained[2], **ENDS)
    rows, model = table(app), cache.model(trained[2])
    a, b = np.array([1.0, 2.0]), np.array([-1.0, 0.0])
    assert rows["straight"][2] == pytest.approx(8**0.5, abs=5e-4)
    for kind, make in (("straight", geodesic.straight), ("spherical", geodesic.spherical)):
        finer = metric.length(model, make(a, b, 257))
        value, error, _ = rows[kind]
        assert value - 0.01 <= finer.value <= value + 2 * error + 0.01  # two decimals are shown
    assert rows["geodesic"][0] <= rows["straight"][0] + 0.01
    assert rows["geodesic"][2] >= rows["straight"][2] - 1e-3 > 0
    saved = 100 * (1 - rows["geodesic"][0] / rows["straight"][0])
    (said,) = re.findall(r"and (-?\d+) % shorter by the decoder", texts(app))
    assert abs(int(said) - saved) <= 1


def test_the_flipbook_follows_the_path_that_is_asked_for(trained):
    from ui import cache
    from ui.canvas.flipbook import strip

    app = open_tool(trained[2], **ENDS)
    assert "geodesic" in book(app)["captions"][0]
    (way,) = [group for group in app.get("segmented_control") if group.key == "way"]
    way.set_value("straight").run()
    shown = book(app)
    z = geodesic.straight(np.array([1.0, 2.0]), np.array([-1.0, 0.0]), shown["n"])
    assert shown["url"] == strip(cache.decode(trained[2], z))
    np.testing.assert_allclose(shown["places"], z, atol=1e-4)
    assert shown["captions"][shown["n"] // 2] == "50 % of the straight path · z = (0.00, 1.00)"


def test_a_missing_place_is_said_and_the_button_sets_two_data(trained):
    from ui import cache

    app = open_tool(trained[2], z="1,2")
    assert "A path needs two places" in texts(app) and plane_data(app)["paths"] == []
    button(app, "Two data with different labels").click().run()
    assert not app.exception and "A path needs two places" not in texts(app)
    shown = cache.points(trained[2], "held_out")
    labels = []
    for pick in plane_data(app)["picks"]:
        distance = np.linalg.norm(shown.loc - pick["p"], axis=1)
        assert distance.min() < 1e-3  # the URL keeps three decimals
        labels.append(shown.labels[distance.argmin()])
    assert labels[0] != labels[1] and len(plane_data(app)["paths"]) == 3


def test_the_second_place_can_be_removed(trained):
    app = open_tool(trained[2], **ENDS)
    button(app, "Remove the second place").click().run()
    assert plane_data(app)["paths"] == [] and not app.exception


def test_paths_in_more_dimensions_are_seen_in_the_plane(trained):
    from ui import cache

    a, b = np.array([1, 0, 0, 0, 2.0]), np.array([0, 1, 0, -1, 0.5])
    ends = {"z": ",".join(map(str, a)), "to": ",".join(map(str, b))}
    app = open_tool(trained[5], **ends)
    where = cache.plane(trained[5], "pca", a)
    for path in plane_data(app)["paths"]:
        np.testing.assert_allclose(path["points"][0], where.project(a), atol=1e-3)
        np.testing.assert_allclose(path["points"][-1], where.project(b), atol=1e-3)
    rows = table(app)
    assert rows["straight"][2] == pytest.approx(np.linalg.norm(a - b), abs=5e-4)
    assert rows["geodesic"][0] <= rows["straight"][0] + 0.01
    assert "descent from one start" in texts(app)


def test_no_geodesic_is_searched_for_while_the_model_changes(trained):
    runs.set_status(trained[2], "running")
    app = open_tool(trained[2], **ENDS)
    assert [path["label"] for path in plane_data(app)["paths"]] == ["straight", "spherical"]
    assert "when the training has ended" in texts(app)
