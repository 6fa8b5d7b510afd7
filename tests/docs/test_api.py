"""docs/api.md has the reference of each public name, and its examples run."""

from __future__ import annotations

import re

import cv2
import pytest

import edge
from tests.support.markdown import code_blocks
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "api.md").read_text()
REFERENCES = re.findall(r"^::: (\S+)$", PAGE, re.MULTILINE)
PUBLIC = [name for name in dir(edge) if str(getattr(getattr(edge, name), "__module__", "")).startswith("edge.")]
EXAMPLES = [block.text for block in code_blocks(PAGE) if block.text.startswith("from edge")]


def test_the_package_has_the_public_names_that_are_compared():
    assert {"ImageAnalyzer", "analyze_video", "FaceResult", "EmotionEdgeError"} <= {*PUBLIC}


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_is_in_the_reference(name):
    module = getattr(edge, name).__module__
    assert {module, f"{module}.{name}"} & {*REFERENCES}


@pytest.mark.parametrize("example", EXAMPLES, ids=["image", "video"])
def test_an_example_finds_the_face(example, portrait, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cv2.imwrite("photo.jpg", portrait)
    height, width = portrait.shape[:2]
    video = cv2.VideoWriter("film.mp4", cv2.VideoWriter.fourcc(*"mp4v"), 10, (width, height))
    for _ in range(5):
        video.write(portrait)
    video.release()
    exec(compile(example, "docs/api.md", "exec"), {})
    assert "happy" in capsys.readouterr().out
