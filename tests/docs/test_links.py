"""Every link inside the documentation leads to a file, a folder or a heading that exists."""

from __future__ import annotations

import pytest

from tests.support.markdown import anchors, links, pages
from tests.support.paths import ROOT

PAGES = pages()


def broken(page):
    """Return line and target of each link of `page` that leads nowhere."""
    found = []
    for line, target in links(page.read_text()):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        linked = page.parent / path if path else page
        if not linked.exists() or (anchor and anchor not in anchors(linked.read_text())):
            found.append(f"{page.name}:{line}: {target}")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    assert broken(page) == []


def test_a_wrong_file_and_a_wrong_anchor_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One `two`, three\n[a](page.md#one-two-three) [b](#two) [c](none.md)\n\n    [d](code.md)\n")
    assert broken(page) == ["page.md:2: #two", "page.md:2: none.md"]
