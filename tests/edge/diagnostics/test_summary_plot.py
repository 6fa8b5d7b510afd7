"""The chart of a day is to scale, in distinct colors, and valid SVG for any label."""

import re
from xml.etree import ElementTree as Xml

import pytest

from edge.diagnostics import summary, summary_plot
from edge.diagnostics.summary_plot import svg
from tests.support.commands import run_edge
from tests.support.day_logs import segment, write_busy_day, write_log

SVG = "{http://www.w3.org/2000/svg}"


def draw(folder):
    return svg(summary.read(folder, None))


def bars(drawing: str) -> dict[str, tuple[float, float, str]]:
    """Return y, height and color of each part of a bar by its tooltip."""
    return {
        part.findtext(f"{SVG}title", ""): (float(part.get("y", 0)), float(part.get("height", 0)), part.get("fill", ""))
        for part in Xml.fromstring(drawing).iter(f"{SVG}rect")
        if part.find(f"{SVG}title") is not None
    }


def test_the_parts_of_a_bar_are_to_scale_and_stacked(tmp_path):
    write_busy_day(tmp_path)
    found = bars(draw(tmp_path))
    assert list(found) == [
        "09:00, calm: 1 min (33%)",
        "09:00, cross: 30 s (17%)",
        "09:00, uncertain: 2 min (50%)",
        "14:00, cross: 10 s (100%)",
        "15:00, cross: 10 s (100%)",
    ]
    heights = [height for _, height, _ in found.values()]
    assert heights == pytest.approx([heights[0] * factor for factor in (1, 1 / 2, 3 / 2, 1 / 6, 1 / 6)], abs=0.01)
    (calm, calm_height, _), (cross, cross_height, _), (uncertain, uncertain_height, _) = list(found.values())[:3]
    assert (cross + cross_height, uncertain + uncertain_height) == pytest.approx((calm, cross), abs=0.02)
    assert calm + calm_height == pytest.approx(summary_plot.BASELINE_Y, abs=0.02)


@pytest.mark.parametrize(
    ("seconds", "top_label"),
    [(3, "3 s"), (100, "2 min"), (600, "10 min"), (3599, "1 h"), (40_000, "12 h"), (500_000, "150 h")],
)
def test_bars_of_any_duration_are_within_the_chart(tmp_path, seconds, top_label):
    write_log(tmp_path, *(segment("10:00:00", min(seconds, 80_000)) for _ in range(max(1, seconds // 80_000))))
    drawing = draw(tmp_path)
    ((top, height, _),) = bars(drawing).values()
    assert top >= summary_plot.MARGIN_TOP - 0.01
    assert height > 0.5 * summary_plot.CHART_HEIGHT
    assert top_label in [element.text for element in Xml.fromstring(drawing).iter(f"{SVG}text")]


def test_each_label_has_its_own_color_all_day(tmp_path):
    labels = [f"label{number}" for number in range(20)]
    segments = [segment(f"{hour}:00:00", 5, label) for hour in (10, 11) for label in (*labels, None)]
    write_log(tmp_path, *segments)
    found = bars(draw(tmp_path))
    colors = {(tooltip.split(": ")[0].split(", ")[1], color) for tooltip, (_, _, color) in found.items()}
    assert len(colors) == len({color for _, color in colors}) == 21


def test_labels_of_any_characters_are_escaped(tmp_path):
    write_log(tmp_path, segment("10:00:00", 5, "眠い"), segment("10:00:00", 5, "<b>&\"'"))
    texts = [element.text for element in Xml.fromstring(draw(tmp_path)).iter(f"{SVG}text")]
    assert {"眠い 50%", "<b>&\"' 50%"} <= set(texts)


def test_days_without_faces_or_duration_can_be_drawn(tmp_path):
    write_log(tmp_path)
    assert Xml.fromstring(draw(tmp_path)).tag == f"{SVG}svg"
    write_log(tmp_path, segment("09:00:00", 0))
    assert Xml.fromstring(draw(tmp_path)).tag == f"{SVG}svg"


def test_the_command_writes_the_complete_chart(tmp_path):
    write_busy_day(tmp_path)
    result = run_edge("summary", tmp_path, "--plot", tmp_path / "new" / "day.svg")
    assert result.returncode == 0, result.stderr
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["day.svg"]
    content = (tmp_path / "new" / "day.svg").read_text()
    assert content == draw(tmp_path)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", content)
