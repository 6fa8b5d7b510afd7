"""The emotions of films over time as stacked areas, in SVG or PNG; with images only where they are asked for."""

from __future__ import annotations

import colorsys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.diagnostics.drawing import Image, Polygon, Shape, Text, rectangle, to_png, to_svg
from edge.diagnostics.recording import MAX_FILMS, Film, Recording
from edge.diagnostics.summary_plot import AXIS_COLOR, GOLDEN_ANGLE_DEGREES, GRID_COLOR, LABEL_COLORS, TEXT_COLOR
from edge.errors import UsageError
from edge.system.paths import display_name, native_name

# Pixels.
WIDTH, PANEL_HEIGHT, CHART_HEIGHT, THUMBNAIL_HEIGHT = 960, 230, 150, 90
LEFT, RIGHT, TOP, CHART_TOP = 56, 170, 10, 40  # the legend is on the right; CHART_TOP: in a panel
CHART_WIDTH = WIDTH - LEFT - RIGHT
THUMBNAILS = 8
TIME_STEPS_SECONDS = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200)
MAX_TIME_LABELS = 9
SUFFIXES = (".svg", ".png")

Thumbnails = Sequence[tuple[float, NDArray[np.uint8]]]


def check_plot(path: Path) -> None:
    """Raise UsageError unless the name of `path` is that of an SVG or PNG file."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"--plot {path}: found suffix {path.suffix!r}, expected {' or '.join(SUFFIXES)}")


def content(recording: Recording, suffix: str, thumbnails: Mapping[str, Thumbnails]) -> bytes:
    """Return a plot with a panel for each film.

    Args:
        suffix: one of SUFFIXES.
        thumbnails: film -> images at seconds of it.

    Raises UsageError if there are more than MAX_FILMS films.
    """
    films = list(recording.films.values())
    if len(films) > MAX_FILMS:
        raise UsageError(f"{display_name(recording.path)}: {len(films)} films, at most {MAX_FILMS} fit on a plot")
    colors = label_colors(recording.labels)
    shapes: list[Shape] = []
    top = float(TOP)
    for film in films:
        images = thumbnails.get(film.name, ())
        shapes += _panel(film, colors, top, images)
        top += PANEL_HEIGHT + (THUMBNAIL_HEIGHT + 6) * bool(images)
    title = f"Emotions over time: {display_name(recording.path.name)}"
    if not films:
        shapes, top = [Text(LEFT, 40, "no faces", 16, TEXT_COLOR)], 80.0
    return to_png(WIDTH, top, shapes) if suffix == ".png" else to_svg(WIDTH, top, title, shapes).encode()


def film_end(film: Film) -> float:
    """Return the second at which the time axis of `film` ends."""
    return max(film.last + film.bin_seconds, film.bin_seconds)


def find_film(recording: Recording, video: Path) -> Film:
    """Return the film of `recording` that `video` is: by its folders and name, by its name, or the only one.

    Raises UsageError if there is none.
    """
    films = recording.films
    parts = Path(display_name(video.absolute())).parts
    tails = {name: Path(name).parts for name in films if name}
    ends = [name for name, tail in tails.items() if parts[-len(tail) :] == tail]
    if ends:
        return films[max(ends, key=lambda name: len(tails[name]))]
    named = [film for name, film in films.items() if Path(name).name == display_name(video.name)]
    if len(named) == 1 or len(films) == 1:
        return (named or list(films.values()))[0]
    raise UsageError(
        f"--thumbnails {display_name(video)}: expected a video of {', '.join(films) or 'a recording with faces'}"
    )


def read_thumbnails(video: Path, film: Film) -> Thumbnails:
    """Return images of `video`, evenly over the time of `film`. Raises UsageError if it cannot be decoded."""
    capture = cv2.VideoCapture(native_name(video))
    try:
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        found = []
        for number in range(THUMBNAILS):
            second = film_end(film) * (number + 0.5) / THUMBNAILS
            capture.set(cv2.CAP_PROP_POS_MSEC, second * 1000)
            success, image = capture.read()
            if success:
                found.append((second, np.asarray(image, np.uint8)))
    finally:
        capture.release()
    if not found:
        raise UsageError(
            f"--thumbnails {display_name(video)}: no image can be read, expected the video of the recording"
        )
    return found


def label_colors(labels: Sequence[str]) -> dict[str, str]:
    """Return a color for each of any number of labels."""
    hues = (index * GOLDEN_ANGLE_DEGREES % 360 / 360 for index in range(len(labels)))
    more = ["#" + bytes(round(255 * each) for each in colorsys.hls_to_rgb(hue, 0.55, 0.55)).hex() for hue in hues]
    return dict(zip(sorted(labels), [*LABEL_COLORS, *more], strict=False))


def _panel(film: Film, colors: Mapping[str, str], top: float, images: Thumbnails) -> Iterator[Shape]:
    end = film_end(film)
    count = len(film.faces)
    title = f"{film.name or 'camera'}: mean probability, {count} face{'s' * (count != 1)}"
    yield Text(LEFT, top + 20, title, 14, TEXT_COLOR)
    chart = top + CHART_TOP
    if images:
        width = CHART_WIDTH / THUMBNAILS
        for second, pixels in images:
            height, length = pixels.shape[:2]
            scale = min((width - 4) / length, THUMBNAIL_HEIGHT / height)
            x = LEFT + second / end * CHART_WIDTH - length * scale / 2
            yield Image(x, chart + (THUMBNAIL_HEIGHT - height * scale) / 2, length * scale, height * scale, pixels)
        chart += THUMBNAIL_HEIGHT + 6
    yield rectangle(LEFT, chart, CHART_WIDTH, CHART_HEIGHT, "#f4f4f4")
    yield from _areas(film, colors, chart, end)
    yield from _axes(chart, end)
    emotions = film.emotions()
    for number, (label, color) in enumerate(reversed(list(colors.items()))):
        y = chart + number * min(20.0, CHART_HEIGHT / len(colors))
        yield rectangle(WIDTH - RIGHT + 16, y, 11, 11, color)
        yield Text(WIDTH - RIGHT + 33, y + 10, f"{label[:16]} {emotions.get(label, 0.0):.0%}", 12, TEXT_COLOR)


def _areas(film: Film, colors: Mapping[str, str], chart: float, end: float) -> Iterator[Polygon]:
    """Yield the areas of each run of bins without a gap, label by label from the bottom to the top."""
    step = film.bin_seconds
    runs: list[list[tuple[float, dict[str, float]]]] = []
    for each in film.timeline():
        if runs and each[0] - runs[-1][-1][0] < 1.5 * step:
            runs[-1].append(each)
        else:
            runs.append([each])
    for run in runs:
        # A value stands for its bin: from the bin's begin to its end.
        seconds = [run[0][0], *(begin + step / 2 for begin, _ in run), run[-1][0] + step]
        means = [run[0][1], *(each for _, each in run), run[-1][1]]
        lower = [0.0] * len(seconds)
        for label, color in colors.items():
            upper = [low + each.get(label, 0.0) for low, each in zip(lower, means, strict=True)]
            edge = [*zip(seconds, upper, strict=True), *reversed(list(zip(seconds, lower, strict=True)))]
            yield Polygon(
                [(LEFT + second / end * CHART_WIDTH, chart + CHART_HEIGHT * (1 - part)) for second, part in edge], color
            )
            lower = upper


def _axes(chart: float, end: float) -> Iterator[Shape]:
    bottom = chart + CHART_HEIGHT
    for part in (0, 0.5, 1):
        y = chart + CHART_HEIGHT * (1 - part)
        yield rectangle(LEFT, y - 0.25, CHART_WIDTH, 0.5, GRID_COLOR if part else AXIS_COLOR)
        yield Text(LEFT - 8, y + 4, f"{part:.0%}", 12, AXIS_COLOR, "end")
    step = next((each for each in TIME_STEPS_SECONDS if end / each <= MAX_TIME_LABELS), end / MAX_TIME_LABELS)
    for number in range(int(end / step) + 1):
        x = LEFT + number * step / end * CHART_WIDTH
        yield rectangle(x - 0.5, bottom, 1, 4, AXIS_COLOR)
        yield Text(x, bottom + 18, format_time(number * step, step), 12, AXIS_COLOR, "middle")


def format_time(seconds: float, step: float) -> str:
    """Return a time of a film as 1:02:03 or 2:03, where the `step` between times is below a second with a decimal."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    last = f"{rest:02.0f}" if step >= 1 else f"{rest:04.1f}"
    return f"{hours}:{minutes:02d}:{last}" if hours else f"{minutes}:{last}"
