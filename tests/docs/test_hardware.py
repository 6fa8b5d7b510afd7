"""The distances in docs/hardware.md follow from the formula on that page."""

from __future__ import annotations

import re
from math import radians, tan

import pytest

from edge.config.defaults import MIN_FACE_SIZE
from edge.config.settings import setting_specs
from tests.support.paths import ROOT

FACE_METERS = 0.16
PAGE = (ROOT / "docs" / "hardware.md").read_text()
ROWS = re.findall(r"^\| (.+) \| ([\d.]+)° \| (\d+) \| ([\d.]+) m \| ([\d.]+) m \| ([\d.]+) m \|$", PAGE, re.MULTILINE)


def test_the_page_names_the_width_and_the_smallest_faces():
    smallest = setting_specs()["min_face_size"].low
    assert f"{FACE_METERS} m * image width" in PAGE
    assert f"its default, {MIN_FACE_SIZE}," in PAGE
    assert f"with `--min-face-size {smallest}` |" in PAGE
    assert len(ROWS) == 5


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_the_distances_follow_from_the_formula(row):
    angle, image, *distances = map(float, row[1:])
    widths = [48, MIN_FACE_SIZE * image / 640, 16 * image / 640]
    computed = [FACE_METERS * image / (2 * width * tan(radians(angle / 2))) for width in widths]
    assert distances == pytest.approx(computed, abs=0.051)
