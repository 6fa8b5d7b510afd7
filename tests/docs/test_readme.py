"""The README shows the first result on its first screen, is short, and its badges and animation are what it says."""

from __future__ import annotations

import re

import badges
import cv2
import pytest

from tests.support.commands import run_edge
from tests.support.markdown import Block, code_blocks, commands
from tests.support.paths import ROOT
from tests.support.runtime import OLD_RUNTIME

README = (ROOT / "README.md").read_text()
ANIMATION = ROOT / "docs" / "example.webp"
MAX_LINES = 120
FIRST_SCREEN_LINES = 20
MAX_ANIMATION_BYTES = 1_500_000


def test_it_is_short():
    assert len(README.splitlines()) <= MAX_LINES


def test_command_and_result_are_on_the_first_screen():
    screen = "\n".join(README.splitlines()[:FIRST_SCREEN_LINES])
    first: Block = next(code_blocks(screen))
    assert [arguments[:2] for _, arguments in commands(first)] == [["edge", "run"]]
    assert f"]({ANIMATION.relative_to(ROOT)})" in screen


def test_the_python_example_finds_the_face(portrait, tmp_path, monkeypatch, capsys):
    (example,) = [block.text for block in code_blocks(README) if block.text.startswith("from edge")]
    monkeypatch.chdir(tmp_path)
    assert cv2.imwrite("photo.jpg", portrait)
    exec(compile(example, "README.md", "exec"), {})
    assert "happy" in capsys.readouterr().out


def readings(text):
    """Return label -> percent of the lines of a face in `text`, such as `00:00.0  face 1: sad 88%`."""
    found = re.findall(r"^ *\d\d:\d\d\.\d  face 1: (\w+) (\d+)%$", text, re.MULTILINE)
    return {label: int(percent) for label, percent in found}


def test_the_sample_output_is_what_is_printed():
    printed = readings(run_edge("run", "synthetic:fast", "--max-frames", "300").stdout)
    for page in ("README.md", "docs/getting-started.md"):
        shown = readings((ROOT / page).read_text())
        assert list(shown) == list(printed)
        if not OLD_RUNTIME:  # tflite-runtime and its OpenCV find slightly other boxes: up to 8 points
            assert shown == pytest.approx(printed, abs=5)  # processors differ by a point


def test_the_badges_are_made_from_the_project_file():
    assert {path.stem: path.read_text() for path in badges.FOLDER.glob("*.svg")} == badges.badges()
    shown = dict(re.findall(r"!\[([^:]+: [^]]+)\]\((docs/badges/\w+\.svg)\)", README))
    for text, path in shown.items():
        label, value = text.split(": ")
        assert f"<title>{label}: {value.replace(', ', ' | ')}</title>" in (ROOT / path).read_text()
    assert len(shown) == len(badges.badges())


def test_every_image_is_a_file_of_the_repository():
    assert all((ROOT / path).is_file() for path in re.findall(r"!\[[^]]*\]\(([^)]+)\)", README))


def test_the_animation_moves_and_is_small():
    image = pytest.importorskip("PIL.Image", reason="pip install pillow")
    assert ANIMATION.stat().st_size <= MAX_ANIMATION_BYTES
    with image.open(ANIMATION) as animation:
        assert animation.n_frames > 20
        first = animation.convert("RGB").tobytes()
        animation.seek(animation.n_frames // 2)
        assert animation.convert("RGB").tobytes() != first


@pytest.mark.slow
def test_the_animation_can_be_recorded(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="pip install pillow")
    pytest.importorskip("tornado", reason="pip install 'emotion-edge[web]'")
    import readme_animation

    from tests.support import browser

    if browser.PROGRAM is None:
        pytest.skip("sudo apt install chromium")
    path = tmp_path / "example.webp"
    readme_animation.main(["--out", str(path), "--history", "0", "--seconds", "3"])
    with image.open(path) as animation:
        assert animation.size == (readme_animation.WIDTH, readme_animation.HEIGHT)
        assert animation.n_frames > 1
