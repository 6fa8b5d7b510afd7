"""What the window draws: readable, true to what was read, on a screen of any size, whoever's the labels are."""

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("pygame", reason="needs pygame: pip install 'emotion-edge[window]'")

from edge.sinks.window import palette
from edge.sinks.window import text as lettering
from edge.sinks.window.messages import Look, View
from edge.sinks.window.scene import WAITING, Scene
from edge.types import Box, FaceResult
from tests.support.display import faces_in, plates, share_of, shows
from tests.support.fakes import face_result
from tests.support.images import draw_faces

LABELS = ("calm", "cross")
SHORT_SIDE_SHARE = 0.04  # of the screen, that capitals are high at least
SIZES = [(800, 480), (480, 800), (1920, 1080)]


def view(*readings: FaceResult, size: tuple[int, int] = (640, 480), image: bool = True) -> View:
    return View(size, readings, 30.0, np.full((size[1], size[0], 3), 120, np.uint8) if image else None)


def scene(size=(800, 480), *readings: FaceResult, labels=LABELS, camera=(640, 480), **look) -> np.ndarray:
    shown = view(*readings, size=camera, image=look.get("image", True))
    return Scene(Look(labels, **look)).draw(shown, size)


def many(labels, lead: int | None = 0, track_id: int = 1, box: Box = Box(200, 200, 100, 100)) -> FaceResult:  # noqa: B008
    """Return a reading with any labels; `lead` None: unsure."""
    shares = [0.7 if number == (lead or 0) else 0.3 / max(1, len(labels) - 1) for number in range(len(labels))]
    return FaceResult(
        track_id, box, dict(zip(labels, shares, strict=True)), None if lead is None else labels[lead], 0.7
    )


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("image", [True, False], ids=["image", "emblem"])
def test_bars_have_letters_that_are_read_from_three_meters(size, image):
    labels = ("HHHH", *(f"{'H' * 4}{number}" for number in range(6)))
    drawn = scene(size, many(labels), labels=labels, image=image)
    ink = np.all(drawn == palette.PALE, axis=2)
    left = next(column for column in range(size[0]) if ink[:, column].sum() > 7 * SHORT_SIDE_SHARE * min(size) * 0.8)
    rows = np.flatnonzero(ink[:, left : left + 2].any(axis=1))
    letters = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)
    assert len(letters) == 7
    # The rim of a letter is neither its color nor its ground, by half a pixel on each side.
    assert min(len(letter) for letter in letters) + 1 >= SHORT_SIDE_SHARE * min(size)


def test_each_label_of_any_model_has_a_color_of_its_own():
    for count in (2, 5, 7, 8, 12):
        colors = [palette.bright(number, count) for number in range(count)]
        distances = [
            np.abs(np.subtract(one, other)).sum() for at, one in enumerate(colors) for other in colors[at + 1 :]
        ]
        assert min(distances) > 20


@pytest.mark.parametrize("number", range(7))
def test_letters_stand_out_on_every_plate_and_every_bar(number):
    assert contrast(palette.bright(number, 7), palette.INK) > 7  # WCAG 2, AAA
    assert contrast(palette.deep(number, 7), palette.PALE) > 4.5  # WCAG 2, AA; 3 would do for letters as large


def contrast(one: palette.Color, other: palette.Color) -> float:
    """Return the contrast ratio as WCAG 2 defines it, 1 to 21."""

    def light(color: palette.Color) -> float:
        shares = [value / 255 for value in color]
        linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    high, low = sorted([light(one), light(other)], reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_frame_is_where_the_face_is_and_the_mirror_has_it_on_the_other_side():
    box = Box(40, 200, 100, 100)
    color = palette.bright(0, 2)
    plain, mirrored = scene((640, 480), face_result(box=box)), scene((640, 480), face_result(box=box), mirror=True)
    assert tuple(plain[250, 40]) == color
    assert tuple(mirrored[250, 640 - 40]) == color
    assert tuple(mirrored[250, 40]) != color


def test_the_mirror_turns_the_image_and_not_the_words():
    with_face = draw_faces(("happy", Box(60, 150, 150, 150)))
    shown = View(
        (640, 480), (face_result(box=Box(60, 150, 150, 150)),), 30.0, np.repeat(with_face[..., np.newaxis], 3, axis=2)
    )
    plain = Scene(Look(LABELS)).draw(shown, (640, 480))
    mirrored = Scene(Look(LABELS, mirror=True)).draw(shown, (640, 480))
    assert faces_in(plain)[0].x < 200
    assert faces_in(mirrored)[0].x > 350
    words = lettering.mask("calm", 34)
    assert find_words(mirrored, words) > 0.95
    assert find_words(cv2.flip(mirrored, 1), words) < 0.8


def find_words(image, words) -> float:
    """Return how well `words` are found, dark on bright, in `image`: 1 is exactly."""
    gray = 255 - cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return float(cv2.matchTemplate(gray, words, cv2.TM_CCOEFF_NORMED).max())


@pytest.mark.parametrize("image", [True, False], ids=["image", "emblem"])
def test_unsure_is_gray_and_has_no_label_of_its_own(image):
    drawn = scene((800, 480), many(("calm", "cross", "glad"), None), labels=("calm", "cross", "glad"), image=image)
    assert share_of(drawn, palette.UNSURE) > 0.001
    assert not shows(plates(3), 0.0002)(drawn)
    assert not shows([palette.deep(number, 3) for number in range(3)], 0.0002)(drawn)


@pytest.mark.parametrize("image", [True, False], ids=["image", "emblem"])
def test_nobody_there_is_a_calm_hint_in_the_users_words(image):
    plain = scene(image=image)
    other = scene(image=image, nobody="Bitte lächeln")
    assert not np.array_equal(plain, other)
    assert not shows(plates(2), 0.0002)(plain)


def test_without_a_camera_for_a_while_the_screen_says_so():
    drawn = Scene(Look(LABELS)).draw(None, (800, 480))
    words = lettering.mask(WAITING, 43)
    assert cv2.matchTemplate(cv2.cvtColor(drawn, cv2.COLOR_RGB2GRAY), words, cv2.TM_CCOEFF_NORMED).max() > 0.9


def test_cards_go_where_no_face_is_and_away_where_there_is_no_place():
    def side(wide: Scene, *lefts: int) -> str:
        readings = [face_result(track_id=left, box=Box(left, 300, 200, 200)) for left in lefts]
        drawn = wide.draw(view(*readings, size=(1280, 720)), (1280, 720))
        tracks = [share_of(half, palette.TRACK) > 0.001 for half in (drawn[:, :400], drawn[:, 880:])]
        return {(False, True): "right", (True, False): "left", (False, False): "none"}[tracks[0], tracks[1]]

    wide = Scene(Look(LABELS))
    assert side(wide, 500) == "right"
    assert side(wide, 900) == "left"
    assert side(wide, 500) == "left", "cards do not move without need"
    assert side(wide, 20, 900) == "none"
    assert side(wide, 500) == "right"


@pytest.mark.parametrize("image", [True, False], ids=["image", "emblem"])
@pytest.mark.parametrize(
    "size",
    [(800, 480), (480, 800), pytest.param((3840, 2160), marks=pytest.mark.slow), (320, 240), (64, 48), (7, 5), (1, 1)],
)
def test_any_number_of_labels_and_faces_is_drawn_on_any_size(size, image):
    for count in (1, 2, 7, 40):
        labels = tuple(f"a rather long name of label {number}" for number in range(count))
        for faces in (0, 1, 2, 3, 8):
            readings = [
                many(labels, number % count, number + 1, Box(90 * number - 40, 50 * number - 40, 120, 120))
                for number in range(faces)
            ]
            assert scene(size, *readings, labels=labels, image=image).shape == (size[1], size[0], 3)


def test_words_shrink_and_are_cut_to_their_place():
    whole = lettering.mask("surprise", 40)
    assert lettering.fitted("surprise", 40, whole.shape[1]).shape == whole.shape
    for width in (whole.shape[1] - 10, 90, 20, 3, 0):
        assert lettering.fitted("surprise", 40, width).shape[1] <= width


def test_a_letter_that_the_font_lacks_comes_from_one_of_the_machines():
    if not Path("/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf").exists():
        pytest.skip("needs fonts: apt-get install fonts-dejavu-core fontconfig")
    assert lettering.font_for("Радость") == lettering.SHIPPED
    assert lettering.font_for("שמחה") != lettering.SHIPPED
    assert lettering.font_for("\U0010fffd") == lettering.SHIPPED  # a private letter, which no font has
