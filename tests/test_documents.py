"""What the documents promise is there: links, pictures, and no placeholder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(
    path
    for folder in (ROOT, ROOT / "docs", ROOT / "benchmarks", ROOT / "checkpoints")
    for path in folder.glob("*.md")
)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere_and_nothing_was_left_to_fill_in(path):
    text = path.read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text)
    assert [t for t in targets if not (path.parent / t).exists()] == []
    assert not re.search(r"\b(TODO|TBD|FIXME|XXX)\b|\b[A-Z]+_[A-Z]+_?TABLE\b|\bSHIPPED_", text)


def test_the_readme_names_every_page():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    titles = re.findall(r', title="([^"]+)"', (ROOT / "ui" / "main.py").read_text(encoding="utf-8"))
    assert titles and all(f"| {title} |" in text for title in titles)


def test_contributing_is_short():
    assert len((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()) <= 80


def test_the_label_colours_are_those_of_the_plane():
    from ui.figures import LABEL_COLOURS

    source = (ROOT / "ui" / "canvas" / "colour.js").read_text(encoding="utf-8")
    assert re.findall(r'"(#[0-9a-f]{6})"', source)[:10] == list(LABEL_COLOURS)
