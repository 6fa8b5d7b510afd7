"""The content of the window: legible and correct on screens of any size, with any labels."""

import cv2
import numpy as np
import pytest

pytest.importorskip("pygame", reason="needs pygame: pip install 'emotion-edge[window]'")

from edge.sinks.window import palette, text
from edge.sinks.window.messages import DisplayFrame, DisplayOptions
from edge.sinks.window.scene import WAITING_TEXT, SceneRenderer
from edge.types import Box, FaceResult
from tests.support.display import color_fraction, dark_colors, detect_faces, has_color, light_colors
from tests.support.fakes import FAKE_LABELS, face_result
from tests.support.images import draw_faces

CAPITAL_FRACTION = 0.04  # minimum height of capitals, of the screen's shorter side
SIZES = [(800, 480), (480, 800), (1920, 1080)]
both_views = pytest.mark.parametrize("image", [True, False], ids=["image", "radial chart"])


def make_frame(*faces: FaceResult, size=(640, 480), image=True) -> DisplayFrame:
    return DisplayFrame(size, faces, 30.0, np.full((size[1], size[0], 3), 120, np.uint8) if image else None)


def render(size=(800, 480), *faces: FaceResult, labels=FAKE_LABELS, **options):
    frame = make_frame(*faces, image=options.get("image", True))
    return SceneRenderer(DisplayOptions(labels, **options)).draw(frame, size)


def make_face(labels, strongest: int | None = 0, track_id: int = 1, box=None) -> FaceResult:
    """Return a result with any labels; `strongest` None: uncertain."""
    others = 0.3 / max(1, len(labels) - 1)
    probabilities = {label: 0.7 if index == (strongest or 0) else others for index, label in enumerate(labels)}
    label = None if strongest is None else labels[strongest]
    return FaceResult(track_id, box or Box(200, 200, 100, 100), probabilities, label, 0.7)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@both_views
def test_bars_have_text_that_is_legible_from_three_meters(size, image):
    labels = ("HHHH", *(f"{'H' * 4}{number}" for number in range(6)))
    drawn = render(size, make_face(labels), labels=labels, image=image)
    is_text = np.all(drawn == palette.LIGHT_TEXT, axis=2)
    min_pixels = CAPITAL_FRACTION * min(size)
    left = next(column for column in range(size[0]) if is_text[:, column].sum() > 7 * min_pixels * 0.8)
    rows = np.flatnonzero(is_text[:, left : left + 2].any(axis=1))
    letters = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)
    assert len(letters) == 7
    # The anti-aliased edge of a letter has neither color, by half a pixel on each side.
    assert min(len(letter) for letter in letters) + 1 >= min_pixels


def test_frame_is_around_the_face_and_mirrored_with_it():
    face, color = face_result(box=Box(40, 200, 100, 100)), palette.light_color(0, 2)
    regular, mirrored = render((640, 480), face), render((640, 480), face, mirror=True)
    assert tuple(regular[250, 40]) == color
    assert tuple(mirrored[250, 640 - 40]) == color
    assert tuple(mirrored[250, 40]) != color


def test_mirror_flips_the_image_and_not_the_text():
    box = Box(60, 150, 150, 150)
    image = np.repeat(draw_faces(("happy", box))[..., np.newaxis], 3, axis=2)
    frame = DisplayFrame((640, 480), (face_result(box=box),), 30.0, image)
    regular = SceneRenderer(DisplayOptions(FAKE_LABELS)).draw(frame, (640, 480))
    mirrored = SceneRenderer(DisplayOptions(FAKE_LABELS, mirror=True)).draw(frame, (640, 480))
    assert detect_faces(regular)[0].x < 200
    assert detect_faces(mirrored)[0].x > 350
    label = text.render("calm", 34)
    assert match(255 - gray_of(mirrored), label) > 0.95
    assert match(255 - gray_of(cv2.flip(mirrored, 1)), label) < 0.8


def gray_of(image):
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def match(gray, mask) -> float:
    """Return how well `mask` matches somewhere in `gray`, bright on dark: 1 is exactly."""
    return float(cv2.matchTemplate(gray, mask, cv2.TM_CCOEFF_NORMED).max())


@both_views
def test_uncertain_face_is_gray(image):
    labels = ("calm", "cross", "glad")
    drawn = render((800, 480), make_face(labels, None), labels=labels, image=image)
    assert color_fraction(drawn, palette.UNCERTAIN) > 0.001
    assert not has_color([*light_colors(3), *dark_colors(3)], 0.0002)(drawn)


@both_views
def test_options_nobody_and_uncertain_replace_the_texts(image):
    default, changed = render(image=image), render(image=image, nobody="Bitte lächeln")
    assert not np.array_equal(default, changed)
    assert not has_color(light_colors(2), 0.0002)(default)
    face = make_face(FAKE_LABELS, None)
    assert not np.array_equal(
        render((800, 480), face, image=image), render((800, 480), face, uncertain="?", image=image)
    )


def test_without_a_frame_the_window_waits_for_the_camera():
    drawn = SceneRenderer(DisplayOptions(FAKE_LABELS)).draw(None, (800, 480))
    assert match(gray_of(drawn), text.render(WAITING_TEXT, 43)) > 0.9


def test_cards_cover_no_face_and_move_only_if_they_must():
    def side(renderer, *lefts: int) -> str:
        faces = [face_result(track_id=left, box=Box(left, 300, 200, 200)) for left in lefts]
        drawn = renderer.draw(make_frame(*faces, size=(1280, 720)), (1280, 720))
        sides = {"left": drawn[:, :400], "right": drawn[:, 880:]}
        return " ".join(name for name, half in sides.items() if color_fraction(half, palette.BAR_TRACK) > 0.001)

    renderer = SceneRenderer(DisplayOptions(FAKE_LABELS))
    assert side(renderer, 500) == "right"
    assert side(renderer, 900) == "left"
    assert side(renderer, 500) == "left"
    assert side(renderer, 20, 900) == ""
    assert side(renderer, 500) == "right"


@both_views
@pytest.mark.parametrize(
    "size",
    [(800, 480), (480, 800), pytest.param((3840, 2160), marks=pytest.mark.slow), (320, 240), (64, 48), (7, 5), (1, 1)],
)
def test_any_number_of_labels_and_faces_is_drawn_at_any_size(size, image):
    for label_count in (1, 2, 7, 40):
        labels = tuple(f"a rather long name of label {number}" for number in range(label_count))
        for face_count in (0, 1, 2, 3, 8):
            faces = [
                make_face(labels, number % label_count, number + 1, Box(90 * number - 40, 50 * number - 40, 120, 120))
                for number in range(face_count)
            ]
            assert render(size, *faces, labels=labels, image=image).shape == (size[1], size[0], 3)
