"""Colors of labels: distinct, with enough contrast for text."""

from itertools import combinations

import numpy as np
import pytest

from edge.sinks.window import palette


@pytest.mark.parametrize("count", [2, 5, 7, 8, 12])
def test_labels_have_distinct_colors(count):
    colors = [palette.light_color(index, count) for index in range(count)]
    assert min(np.abs(np.subtract(one, other)).sum() for one, other in combinations(colors, 2)) > 20


@pytest.mark.parametrize("index", range(7))
def test_text_has_contrast_on_every_label_color(index):
    assert contrast(palette.light_color(index, 7), palette.DARK_TEXT) > 7  # WCAG 2, AAA
    assert contrast(palette.dark_color(index, 7), palette.LIGHT_TEXT) > 4.5  # WCAG 2, AA; large text needs 3


def contrast(one: palette.Color, other: palette.Color) -> float:
    """Return the contrast ratio as WCAG 2 defines it, 1 to 21."""

    def luminance(color: palette.Color) -> float:
        values = [value / 255 for value in color]
        linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    darker, lighter = sorted([luminance(one), luminance(other)])
    return (lighter + 0.05) / (darker + 0.05)
