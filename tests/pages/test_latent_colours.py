"""The latent page coloured by the gap, before an analysis has found any."""

from __future__ import annotations

from tests.pages.opening import open_page, plane_data, texts


def test_gaps_that_nobody_has_found_are_said_with_the_way_to_them(trained):
    app = open_page("latent_space", run=trained[2], colour="gap to log p(x)")
    assert "gaps of the held-out data to log p(x) are not known yet" in texts(app)
    (link,) = [p.proto for p in app.get("page_link") if "gaps" in p.proto.label]
    assert "likelihood" in link.page and trained[2] in link.query_string
    points = plane_data(app)["points"]
    assert points["mode"] == "label" and "colour=labels" in points["url"]
