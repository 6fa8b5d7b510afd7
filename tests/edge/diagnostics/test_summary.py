"""What a day came to, in words, JSON and a drawing: exact, in any language, and not stopped by a damaged line."""

import json
import re
import subprocess
from datetime import date, datetime, timedelta
from xml.etree import ElementTree as Xml

import pytest

from edge.diagnostics import summary
from edge.sinks import daily_log
from edge.sinks.daily_log import Segment
from tests.support.commands import EDGE, run_edge

DAY = date(2026, 11, 21)
SVG = "{http://www.w3.org/2000/svg}"


def at(clock: str) -> datetime:
    return datetime.fromisoformat(f"{DAY} {clock}").astimezone()


def segment(clock: str, seconds: float, label: str | None = "calm", face: int = 1, run: str = "a") -> Segment:
    return Segment(at(clock), seconds, run, face, label, 0.8)


def log(folder, *segments: Segment, day: date = DAY) -> None:
    daily_log.append(daily_log.log_path(folder, day), segments)


@pytest.fixture
def busy(tmp_path):
    """The log of a day with two faces in the morning and one in the afternoon."""
    log(
        tmp_path,
        segment("09:05:00", 60),
        segment("09:06:00", 30, "cross"),
        segment("09:05:30", 90, None, face=2),
        segment("14:59:50", 10, "cross", run="b"),
        segment("15:00:00", 10, "cross", run="b"),
    )
    return tmp_path


def test_faces_and_times_are_told_in_all_and_by_the_hour(busy):
    found = summary.as_json(summary.read(busy, None))
    assert (found["date"], found["faces"], found["seconds"], found["unsure"]) == ("2026-11-21", 3, 200, 90)
    assert found["emotions"] == {"calm": 60, "cross": 50}
    assert (found["first"], found["last"]) == (at("09:05:00").isoformat(), at("15:00:10").isoformat())
    assert found["hours"] == [
        {"hour": 9, "faces": 2, "seconds": 180, "emotions": {"calm": 60, "cross": 30}, "unsure": 90},
        {"hour": 14, "faces": 1, "seconds": 10, "emotions": {"cross": 10}, "unsure": 0},
        {"hour": 15, "faces": 1, "seconds": 10, "emotions": {"cross": 10}, "unsure": 0},
    ]
    assert found["damaged_lines"] == []


def test_the_command_prints_a_table_that_reads_in_a_pipe(busy):
    result = run_edge("summary", busy)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "2026-11-21, Saturday: 3 faces, 3 min in all, 09:05 to 15:00",
        "",
        "  unsure  ████████████████████████   45%  2 min",
        "  calm    ████████████████           30%  1 min",
        "  cross   █████████████▍             25%  50 s",
        "",
        "hour   faces        time",
        "09:00      2       3 min  ████████████  unsure 50%, calm 33%, cross 17%",
        "10:00      0",
        "11:00      0",
        "12:00      0",
        "13:00      0",
        "14:00      1        10 s  ▋             cross 100%",
        "15:00      1        10 s  ▋             cross 100%",
    ]


def test_the_command_gives_all_of_it_as_json(busy):
    result = run_edge("summary", busy, "--json")
    assert json.loads(result.stdout) == summary.as_json(summary.read(busy, None))


def test_no_line_is_wider_than_the_terminal_whatever_the_labels(tmp_path):
    labels = ["眠い眠い眠い眠い眠い眠い", "a" * 50, "müde", *(f"label{number}" for number in range(30))]
    log(tmp_path, *(segment("10:00:00", 3600, label, face=9_999) for label in labels))
    for width in (72, 80, 100):
        text = summary.text(summary.read(tmp_path, None), width)
        assert max(map(summary._columns, text.splitlines())) <= width


def test_columns_are_in_line_for_labels_of_any_letters(tmp_path):
    log(tmp_path, segment("10:00:00", 60, "眠い"), segment("10:00:00", 60, "müde"), segment("10:00:00", 60, "u\u0308"))
    lines = [line for line in summary.text(summary.read(tmp_path, None), 80).splitlines() if line.startswith("  ")]
    assert len({summary._columns(line.partition("█")[0]) for line in lines}) == 1


@pytest.mark.parametrize(("words", "columns"), [("calm", 4), ("müde", 4), ("mu\u0308de", 4), ("眠い", 4), ("", 0)])
def test_a_terminals_columns_are_counted_as_it_draws(words, columns):
    assert summary._columns(words) == columns
    assert summary._padded(words, 6) == words + " " * (6 - columns)
    assert summary._columns(summary._padded(words, 3)) == 3


def test_the_last_day_is_told_unless_another_one_is_asked_for(tmp_path):
    log(tmp_path, segment("09:00:00", 1), day=DAY)
    log(tmp_path, segment("09:00:00", 2), day=DAY - timedelta(days=1))
    assert summary.read(tmp_path, None).whole.seconds == 1
    assert summary.read(tmp_path, "2026-11-20").whole.seconds == 2


def test_damaged_lines_are_counted_and_named_and_the_others_told(busy):
    path = daily_log.log_path(busy, DAY)
    path.write_bytes(path.read_bytes() + b"nonsense\n\xff\xfe\n" + b"\0" * 100)
    found = summary.read(busy, None)
    assert found.whole.seconds == 200
    assert found.damaged == [7, 8, 9]
    result = run_edge("summary", busy)
    assert result.returncode == 0
    assert result.stdout.splitlines()[-1] == f"3 damaged lines were left out: {path}:7, 8, 9"


def test_of_many_damaged_lines_the_first_ones_are_named(busy):
    path = daily_log.log_path(busy, DAY)
    path.write_text(path.read_text() + "x\n" * 100)
    last = summary.text(summary.read(busy, None), 80).splitlines()[-1]
    assert last == f"100 damaged lines were left out: {path}:7, 8, 9, 10, 11, ..."


def test_a_day_with_nobody_is_a_line_and_no_error(tmp_path):
    log(tmp_path)
    result = run_edge("summary", tmp_path, "--plot", tmp_path / "day.svg")
    assert (result.returncode, result.stdout) == (0, "2026-11-21, Saturday: nobody was seen\n")
    assert Xml.parse(tmp_path / "day.svg").getroot().tag == f"{SVG}svg"


def test_a_day_of_faces_seen_in_one_frame_alone_is_told_too(tmp_path):
    log(tmp_path, segment("09:00:00", 0))
    found = summary.read(tmp_path, None)
    assert summary.text(found, 80).startswith("2026-11-21, Saturday: 1 face, 0.0 s in all, 09:00 to 09:00")
    Xml.fromstring(summary.svg(found))


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("none",), 2, "none: no such folder; name the one that the run's sink csv:FOLDER writes to"),
        (("empty",), 2, "empty: no log of any day found, expected files as emotions-2026-11-21.csv"),
        (("log", "--date", "2026-11-30"), 2, "log: no log of 2026-11-30 found; the nearest of the 4 that there are: "),
        (("log", "--date", "yesterday"), 2, "--date is 'yesterday', expected a date as 2026-11-21"),
        (("log", "--plot", "day.png"), 2, "--plot day.png: found '.png', expected .svg, which any browser shows"),
        (("log", "--plot", "file/day.svg"), 1, "file/day.svg: cannot be written"),
        ((), 2, "Missing argument"),
    ],
)
def test_what_goes_wrong_is_one_line_and_its_exit_status(tmp_path, arguments, status, words):
    (tmp_path / "empty").mkdir()
    (tmp_path / "log").mkdir()
    (tmp_path / "file").touch()
    for number in range(4):
        log(tmp_path / "log", day=DAY - timedelta(days=number))
    result = run_edge("summary", *arguments, cwd=tmp_path)
    assert result.returncode == status
    assert result.stderr.startswith(f"edge: error: {words}")
    assert result.stderr.count("\n") == 1


def test_the_nearest_days_are_named(tmp_path):
    for number in (1, 2, 3, 9):
        log(tmp_path, day=DAY - timedelta(days=number))
    result = run_edge("summary", tmp_path, "--date", DAY)
    assert "that there are: 2026-11-18, 2026-11-19, 2026-11-20\n" in result.stderr


def test_a_reader_that_goes_is_no_error(busy):
    shell = f'"{EDGE}" summary "{busy}" | head -1'
    result = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=60, check=False)
    assert result.stdout.count("\n") == 1
    assert result.stderr == ""


# The drawing


def bars(drawing: str) -> dict[str, tuple[float, float, str]]:
    """Return y, height and color of each bar's part by what is told of it."""
    return {
        part.findtext(f"{SVG}title", ""): (float(part.get("y", 0)), float(part.get("height", 0)), part.get("fill", ""))
        for part in Xml.fromstring(drawing).iter(f"{SVG}rect")
        if part.find(f"{SVG}title") is not None
    }


def test_the_parts_of_a_bar_are_as_high_as_their_time_and_stand_on_one_another(busy):
    found = bars(summary.svg(summary.read(busy, None)))
    assert list(found) == [
        "09:00, calm: 1 min (33%)",
        "09:00, cross: 30 s (17%)",
        "09:00, unsure: 2 min (50%)",
        "14:00, cross: 10 s (100%)",
        "15:00, cross: 10 s (100%)",
    ]
    heights = [height for _, height, _ in found.values()]
    assert heights == pytest.approx([heights[0] * share for share in (1, 1 / 2, 3 / 2, 1 / 6, 1 / 6)], abs=0.01)
    (calm, _, _), (cross, high, _), (unsure, higher, _) = list(found.values())[:3]
    assert (cross + high, unsure + higher) == pytest.approx((calm, cross), abs=0.02)
    ground = summary.SIZE[1] - summary.BOTTOM
    assert calm + heights[0] == pytest.approx(ground, abs=0.02)


def test_everything_is_within_the_drawing_and_the_scale_is_told(tmp_path):
    for seconds, step in (
        (3, "1 s"),
        (100, "30 s"),
        (600, "2 min"),
        (3599, "10 min"),
        (40_000, "2 h"),
        (500_000, "20 h"),
    ):
        folder = tmp_path / str(seconds)
        folder.mkdir()
        log(folder, *(segment("10:00:00", min(seconds, 80_000)) for _ in range(max(1, seconds // 80_000))))
        drawing = summary.svg(summary.read(folder, None))
        ((top, height, _),) = bars(drawing).values()
        assert top >= summary.TOP - 0.01
        assert height > 0.5 * (summary.SIZE[1] - summary.TOP - summary.BOTTOM)
        texts = [text.text or "" for text in Xml.fromstring(drawing).iter(f"{SVG}text")]
        assert any(text.endswith(step) for text in texts), (seconds, texts)


def test_a_label_has_one_color_all_day_and_no_other_label_has_it(tmp_path):
    labels = [f"label{number}" for number in range(20)]
    log(tmp_path, *(segment(f"{hour}:00:00", 5, label) for hour in (10, 11) for label in (*labels, None)))
    found = bars(summary.svg(summary.read(tmp_path, None)))
    colors = {(told.split(": ")[0].split(", ")[1], color) for told, (_, _, color) in found.items()}
    assert len(colors) == len({color for _, color in colors}) == 21


def test_labels_of_any_language_and_of_any_signs_are_letters_of_the_drawing(tmp_path):
    log(tmp_path, segment("10:00:00", 5, "眠い"), segment("10:00:00", 5, "<b>&\"'"))
    drawing = summary.svg(summary.read(tmp_path, None))
    texts = [text.text for text in Xml.fromstring(drawing).iter(f"{SVG}text")]
    assert {"眠い 50%", "<b>&\"' 50%"} <= set(texts)


def test_the_command_draws_it_whole_or_not_at_all(busy, tmp_path):
    result = run_edge("summary", busy, "--plot", tmp_path / "new" / "day.svg")
    assert result.returncode == 0, result.stderr
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["day.svg"]
    assert (tmp_path / "new" / "day.svg").read_text() == summary.svg(summary.read(busy, None))
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", (tmp_path / "new" / "day.svg").read_text())


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.9, "60 s"),
        (59.96, "1 min"),
        (3570, "1 h 00 min"),
        (3540, "59 min"),
        (8000, "2 h 13 min"),
    ],
)
def test_a_length_of_time_is_told_as_people_do(seconds, words):
    assert summary.lasting(seconds) == words
