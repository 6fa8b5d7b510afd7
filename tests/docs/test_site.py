"""The documentation site builds without a warning, and its pages load nothing from elsewhere."""

from __future__ import annotations

import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import docs_site
import pytest

from tests.support.paths import ROOT

PYTHON = ROOT / ".venv-docs" / "bin" / "python"
LOADED = {
    "img": "src",
    "script": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "object": "data",
}
# What makes Zensical's script load something from elsewhere: diagrams, galleries, code to run, a repository.
TRIGGERS = ('class="mermaid"', "glightbox", "pyodide", 'data-md-component="source"')
LINKS_LOADED = {"stylesheet", "icon", "preconnect", "preload", "prefetch", "dns-prefetch", "modulepreload", "manifest"}
STYLE_ADDRESS = re.compile(r"(?:url\(\s*|@import\s+)[\"']?((?:https?:)?//[^\"')\s]+)")


class LoadedAddresses(HTMLParser):
    """Collects the addresses on other hosts that a browser loads by itself to show a page."""

    def __init__(self, text):
        super().__init__()
        self.found = STYLE_ADDRESS.findall(text)
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = {name: value or "" for name, value in attributes}
        address = values.get(LOADED.get(tag, ""), "")
        if tag == "link" and LINKS_LOADED & set(values.get("rel", "").split()):
            address = values.get("href", "")
        if re.match(r"(https?:)?//", address):
            self.found.append(address)


@pytest.fixture(scope="module")
def site() -> Path:
    if not PYTHON.exists():
        pytest.skip("Zensical is not installed: .ci/run makes .venv-docs")
    command = [PYTHON, ROOT / "scripts" / "docs_site.py"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return ROOT / "build" / "docs-site"


@pytest.mark.slow
def test_the_site_has_all_pages_and_the_python_classes(site):
    pages = {path.stem for path in ROOT.glob("docs/*.md")} - {"README"}
    assert pages <= {path.stem for path in site.glob("docs/*.html")}
    api = (site / "docs" / "api.html").read_text()
    assert 'id="edge.image_analyzer.ImageAnalyzer.analyze"' in api
    assert 'id="edge.errors.CameraError"' in api


@pytest.mark.slow
def test_no_page_loads_anything_from_another_host(site):
    pages = [*site.rglob("*.html")]
    assert len(pages) > 20
    found = {}
    for page in pages:
        text = page.read_text()
        found[page.name] = LoadedAddresses(text).found + [each for each in TRIGGERS if each in text]
    found |= {path.name: STYLE_ADDRESS.findall(path.read_text()) for path in site.rglob("*.css")}
    assert {name: addresses for name, addresses in found.items() if addresses} == {}


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://a.example/x.js"></script>',
        '<link rel="preconnect" href="//a.example">',
        "<style>@import 'https://a.example/x.css';</style>",
        '<img src="https://a.example/x.png">',
    ],
)
def test_an_address_on_another_host_is_found(text):
    assert len(LoadedAddresses(text).found) == 1


@pytest.mark.parametrize("text", ['<a href="https://a.example">x</a>', '<script src="../x.js"></script>'])
def test_links_and_own_files_are_not_loaded_from_another_host(text):
    assert LoadedAddresses(text).found == []


def test_the_content_of_list_items_is_indented_by_four():
    text = "1. one\n\n       code\n   more\n- two\n  more\n\nend\n    code\n"
    assert docs_site.indent_lists(text) == "1. one\n\n        code\n    more\n- two\n    more\n\nend\n    code\n"


def test_a_linked_folder_becomes_a_list_of_its_files(tmp_path, monkeypatch):
    monkeypatch.setattr(docs_site, "PAGES", tmp_path)
    page = ROOT / "docs" / "contract.md"
    text = docs_site.LINK.sub(
        lambda link: docs_site.copy_linked(page, link), "[a](schemas) [b](web.md#api) [c](../LICENSE)"
    )
    assert text == "[a](schemas/files.md) [b](web.md#api) [c](../LICENSE)"
    assert "- [face.json](face.json)" in (tmp_path / "docs/schemas/files.md").read_text()
    assert (tmp_path / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
