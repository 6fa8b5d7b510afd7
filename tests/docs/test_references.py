"""Programs, modules and files that the documentation names exist, and the programs know their options."""

from __future__ import annotations

import importlib
import re
import sys

import pytest

from tests.support.markdown import code_blocks, inline_code, pages
from tests.support.paths import ROOT

PAGES = pages()
FOLDERS = "benchmarks|docs|edge|examples|fleet|models|scripts|systemd|tests|trainer"
FILE = re.compile(rf"(?<![\w/.-])(?:\./)?((?:{FOLDERS})/[\w./-]*\w)")
MODULE = re.compile(rf"python3? -m ((?:{FOLDERS})[\w.]*)")
BENCHMARK = re.compile(r"python3? -m (benchmarks\.\w+)([^`|&;>#]*)")
OF_OTHERS = {"models/emotion.json"}  # of a package on the leaderboard


def place_of(page):
    return str(page.relative_to(ROOT))


def code_of(page):
    """Return all code of a page: its blocks and code spans."""
    text = page.read_text()
    return [block.text for block in code_blocks(text)] + [span for _, span in inline_code(text)]


@pytest.mark.parametrize("page", PAGES, ids=place_of)
def test_each_file_that_a_page_names_exists(page):
    named = set(FILE.findall(page.read_text())) - OF_OTHERS
    # A page about a fleet names files below the folder in which its commands are run.
    assert [name for name in named if not [*ROOT.glob(f"{name}*"), *ROOT.glob(f"fleet/*/{name}*")]] == []


@pytest.mark.parametrize("page", PAGES, ids=place_of)
def test_each_module_that_a_page_starts_exists(page):
    named = {name for code in code_of(page) for name in MODULE.findall(code)}
    paths = {name: ROOT.joinpath(*name.split(".")) for name in named}
    assert [name for name, path in paths.items() if not path.with_suffix(".py").exists() and not path.is_dir()] == []


def documented_options():
    """Return the benchmarks that the pages start, name -> the options that they give it."""
    found: dict[str, set[str]] = {}
    for page in PAGES:
        for code in code_of(page):
            for module, arguments in BENCHMARK.findall(code.replace("\\\n", " ")):
                words = arguments.split("\n")[0].split()
                found.setdefault(module, set()).update(word for word in words if re.match(r"--\w", word))
    return found


OPTIONS = documented_options()


@pytest.mark.parametrize("module", sorted(OPTIONS))
def test_a_benchmark_knows_the_options_that_pages_give_it(module, monkeypatch, capsys):
    is_package = ROOT.joinpath(*module.split(".")).is_dir()
    program = importlib.import_module(f"{module}.__main__" if is_package else module)
    monkeypatch.setattr(sys, "argv", [module, "--help"])
    with pytest.raises(SystemExit):
        program.main()
    known = set(re.findall(r"--[\w-]+", capsys.readouterr().out))
    assert {each.partition("=")[0] for each in OPTIONS[module]} - known == set()


def test_many_benchmarks_with_options_are_found():
    assert {"benchmarks.versus_baseline", "benchmarks.peers", "benchmarks.label_stability"} <= OPTIONS.keys()
    assert "--prior" in OPTIONS["benchmarks.label_stability"]
