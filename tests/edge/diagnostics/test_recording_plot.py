"""The plot of films over time: areas as high as probabilities, gaps, safe names, images only if they are asked for."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.diagnostics import drawing, recording_plot
from edge.diagnostics.recording import MAX_FILMS, Film, RecordedFace, Recording
from edge.diagnostics.recording_plot import CHART_HEIGHT, CHART_WIDTH, format_time
from edge.errors import UsageError

CALM, CROSS = {"calm": 0.75, "cross": 0.25}, {"calm": 0.25, "cross": 0.75}


def make_recording(*names, seconds=(0.0, 0.25, 0.5, 2.0, 2.25), labels=("calm", "cross")):
    """Return a recording of films with a calm face, and in the last half a second of them a cross one."""
    found = Recording(Path("faces.csv"), labels)
    for name in names:
        film = found.films[name] = Film(name)
        for second in seconds:
            film.add(RecordedFace(name, second, 0, 1, "calm", CROSS if second >= 2 else CALM))
    return found


def elements(found, kind, **thumbnails):
    root = ET.fromstring(recording_plot.content(found, ".svg", thumbnails))
    return list(root.iter(f"{{http://www.w3.org/2000/svg}}{kind}"))


def areas(found):
    """Return the points of each area of a label, in its order."""
    colors = recording_plot.label_colors(found.labels).values()
    wide = [each for each in elements(found, "polygon") if each.get("fill") in colors]
    points = [[tuple(map(float, pair.split(","))) for pair in each.get("points").split()] for each in wide]
    return [each for each in points if len(each) > 4]


def test_areas_are_as_high_as_probabilities_and_end_at_gaps():
    found = areas(make_recording("a.mp4"))
    assert len(found) == 4, "two labels before the gap, and two after it"
    heights = [max(y for _, y in each) - min(y for _, y in each) for each in found]
    assert heights == pytest.approx([CHART_HEIGHT * part for part in (0.75, 0.25, 0.25, 0.75)], abs=0.11)
    widths = [max(x for x, _ in each) - min(x for x, _ in each) for each in found]
    assert widths == pytest.approx([CHART_WIDTH * part / 2.5 for part in (0.75, 0.75, 0.5, 0.5)], abs=0.11)


def test_no_image_is_drawn_unless_it_is_given():
    found = make_recording("a")
    assert elements(found, "image") == []
    pixels = np.zeros((40, 60, 3), np.uint8)
    assert len(elements(found, "image", a=[(0.5, pixels), (1.5, pixels)])) == 2


def test_png_has_the_colors_of_the_labels():
    content = recording_plot.content(make_recording("a.mp4"), ".png", {})
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    colors = {tuple(pixel) for pixel in image.reshape(-1, 3)[::7]}
    for color in recording_plot.label_colors(("calm", "cross")).values():
        assert drawing.to_bgr(color) in colors


def test_names_cannot_leave_their_element():
    found = make_recording("</text><script>alert(1)</script>.mp4", labels=("calm", "cross"))
    assert elements(found, "script") == []


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_labels_and_names_of_any_language_are_drawn(suffix):
    recording = make_recording("旅行.mp4", labels=("müde", "怒り"))
    content = recording_plot.content(recording, suffix, {})
    assert suffix == ".png" or "怒り" in content.decode()


def test_accents_are_left_out_and_other_letters_replaced():
    assert drawing.to_ascii("müde 怒り") == "mude ??"


@pytest.mark.parametrize("count", [0, 1, 30])
def test_any_number_of_labels_has_colors(count):
    labels = tuple(f"label {number}" for number in range(count))
    colors = recording_plot.label_colors(labels)
    assert len(set(colors.values())) == count
    assert all(re.fullmatch("#[0-9a-f]{6}", color) for color in colors.values())


def test_too_many_films_are_an_error():
    with pytest.raises(UsageError, match=rf"{MAX_FILMS + 1} films, at most {MAX_FILMS} fit on a plot"):
        recording_plot.content(make_recording(*map(str, range(MAX_FILMS + 1))), ".svg", {})


def test_a_recording_without_faces_has_a_plot():
    assert b"no faces" in recording_plot.content(make_recording(), ".svg", {})


@pytest.mark.parametrize(
    ("seconds", "step", "expected"),
    [(0, 1, "0:00"), (75, 15, "1:15"), (3661, 60, "1:01:01"), (0.5, 0.5, "0:00.5")],
)
def test_times_are_those_of_a_player(seconds, step, expected):
    assert format_time(seconds, step) == expected


def test_thumbnails_are_spread_over_the_film(tmp_path):
    path = tmp_path / "a.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for number in range(25):
        writer.write(np.full((48, 64, 3), 10 * number, np.uint8))
    writer.release()
    film = recording_plot.find_film(make_recording("folder/a.avi", "b.avi"), path)
    found = recording_plot.read_thumbnails(path, film)
    levels = [round(image.mean() / 10) for _, image in found]
    assert levels == pytest.approx([second * 10 for second, _ in found], abs=1)
    assert len(levels) == recording_plot.THUMBNAILS


@pytest.mark.parametrize(
    ("video", "film"),
    [("a/x.mp4", "a/x.mp4"), ("/films/b/x.mp4", "b/x.mp4"), ("x.mp4", "x.mp4"), ("c/x.mp4", "x.mp4")],
)
def test_a_film_is_found_by_its_folder_and_name(video, film):
    assert recording_plot.find_film(make_recording("a/x.mp4", "b/x.mp4", "x.mp4"), Path(video)).name == film


def test_a_video_that_is_not_one_has_no_thumbnails(tmp_path):
    (tmp_path / "a.mp4").write_text("text")
    with pytest.raises(UsageError, match=r"--thumbnails .*a\.mp4: no image can be read"):
        recording_plot.read_thumbnails(tmp_path / "a.mp4", Film("a.mp4"))
