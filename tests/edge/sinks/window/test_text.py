"""Text: how it shrinks, wraps and finds its font."""

from pathlib import Path

import pytest

pytest.importorskip("pygame", reason="needs pygame: pip install 'emotion-edge[window]'")

from edge.sinks.window import text


def test_text_shrinks_and_is_cut_to_its_width():
    full = text.render("surprise", 40)
    assert text.render_to_width("surprise", 40, full.shape[1]).shape == full.shape
    for width in (full.shape[1] - 10, 90, 20, 3, 0):
        assert text.render_to_width("surprise", 40, width).shape[1] <= width


def test_text_wraps_between_words():
    width = text.render("Look at the", 40).shape[1]
    assert text.wrap("Look at the camera", 40, width) == ["Look at the", "camera"]
    assert text.wrap("camera", 40, 1) == ["camera"]


def test_system_font_has_the_characters_that_the_default_lacks():
    if not Path("/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf").exists():
        pytest.skip("needs fonts: apt-get install fonts-dejavu-core fontconfig")
    assert text.find_font("Радость") == text.DEFAULT_FONT
    assert text.find_font("שמחה") != text.DEFAULT_FONT
    assert text.find_font("\U0010fffd") == text.DEFAULT_FONT  # a private-use character, which no font has
