"""docs/recipes.md has the recipes that people ask for; that of an RTSP camera works with a real one."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.config import toml_file
from edge.setting_checks import NAME_CHECKS
from tests.edge.capture.test_rtsp import SYSTEM_PYTHON, RealServer
from tests.support.commands import run_edge
from tests.support.markdown import Block, code_blocks, commands, sections
from tests.support.paths import ROOT

RECIPES = sections((ROOT / "docs" / "recipes.md").read_text(), 2)
PASSWORD = "hunter2@:/"
ADDRESS = "192.168.1.20/stream2"  # in the recipe


def blocks(recipe: str) -> list[Block]:
    return list(code_blocks(RECIPES[recipe]))


def test_it_has_the_recipes_that_people_ask_for():
    asked = ["Home Assistant", "LED", "Smart mirror", "Exhibit", "RTSP camera", "Prometheus", "Own data set in an hour"]
    assert [recipe for recipe in asked if recipe not in RECIPES] == []


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_configuration_in_a_recipe_is_valid(recipe, tmp_path):
    for block in blocks(recipe):
        if block.text.startswith(("source =", "sinks =")):
            if '"window' in block.text:
                pytest.importorskip("pygame", reason="pip install 'emotion-edge[window]'")
            path = tmp_path / "config.toml"
            path.write_text(block.text)
            assert toml_file.problems(path, NAME_CHECKS, {}) == []


@contextmanager
def real_camera():
    if not Path(SYSTEM_PYTHON).exists():
        pytest.skip(f"no {SYSTEM_PYTHON}, which runs the RTSP server")
    server = RealServer("--password", PASSWORD)
    try:
        yield f"localhost:{server.port}/live"
    finally:
        server.kill()


@pytest.mark.slow
def test_each_command_for_an_rtsp_camera_works_with_a_real_one(tmp_path, monkeypatch):
    (tmp_path / "camera-password").write_text(f"{PASSWORD}\n")
    found = [arguments for block in blocks("RTSP camera") for _, arguments in commands(block)]
    assert [arguments[1] for arguments in found] == ["doctor", "run", "run"]
    with real_camera() as address:
        for _, command, *rest in found:
            arguments = [each.replace("viewer@", "admin@").replace(ADDRESS, address) for each in rest]
            if "camera-password" not in " ".join(arguments):  # the last one
                monkeypatch.setenv("EMOTION_EDGE_CAMERA_USER", "admin")
                monkeypatch.setenv("EMOTION_EDGE_CAMERA_PASSWORD", PASSWORD)
            limits = ["--max-frames", "2", "--sink", "jsonl"] if command == "run" else []
            result = run_edge(command, *arguments, *limits, cwd=tmp_path)
            assert PASSWORD not in result.stdout + result.stderr
            shown = '"faces": []' if command == "run" else "320 x 240 pixels"
            assert shown in " ".join(result.stdout.split()), result.stderr
