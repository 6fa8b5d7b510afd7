"""The whole image is searched piece by piece: nothing is left out, a change is soon looked at, rest is rest."""

import numpy as np
import pytest

from edge.detection.haar import MIN_FACE, WINDOW
from edge.detection.tile_scheduler import (
    ALONE,
    COMPANY,
    OVERLAP,
    PIECE,
    REST,
    SEARCH_WIDTH,
    Tile,
    TileScheduler,
    pieces,
)
from edge.types import Box
from tests.support.images import draw_faces

SHAPES = [
    (320, 240),
    (640, 480),
    (1280, 720),
    (1920, 1080),
    (480, 640),
    (720, 1280),
    (641, 359),
    (3840, 2160),
    (1, 1),
    (30, 30),
    (31, 900),
    (2000, 40),
    (97, 101),
]
STEP = 1 / 32  # seconds from frame to frame; exact, so that seconds are whole numbers of frames
SOMEBODY = Box(420, 200, 100, 100)


def room(seed=0, size=(640, 480)):
    """Return the dim room with a camera's noise, other noise for another `seed`."""
    noise = np.random.default_rng(seed).normal(0, 10, (size[1], size[0]))
    return np.clip(draw_faces(size=size) + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def rooms():
    return [room(seed) for seed in range(8)]


def rested(sweep, image, now=0.0):
    """Let `sweep` search the whole image, as it does at first, and return when."""
    chosen, _ = sweep.look(image, now, [])
    assert chosen
    return now


def watch(sweep, image, start, seconds, known=(), step=STEP):
    """Return what `sweep` has searched of a `image` that stays, (time, piece), and check that no cut is seen."""
    found = []
    for number in range(1, round(seconds / step) + 1):
        now = start + number * step
        chosen, another = sweep.look(image, now, known)
        assert not another
        found += [(now, piece) for piece in chosen]
    return found


def holds(area: Box, box: Box) -> bool:
    wide = area.x <= box.x and box.x + box.width <= area.x + area.width
    return wide and area.y <= box.y and box.y + box.height <= area.y + area.height


def suits(piece: Tile, face: Box) -> bool:
    return holds(piece.area, face) and piece.smallest <= face.width <= piece.largest


# --- the pieces -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), SHAPES)
@pytest.mark.parametrize("min_face", [16, MIN_FACE, 47.5, 200])
def test_every_face_lies_wholly_inside_a_piece_that_searches_for_its_size_with_room_to_spare(width, height, min_face):
    rng = np.random.default_rng(width + height)
    cut = pieces(width, height, min_face, WINDOW)
    sizes = {*np.geomspace(min_face, max(min_face, min(width, height)), 25)}
    for size in (int(np.ceil(size)) for size in sizes if np.ceil(size) <= min(width, height)):
        corners = [(x, y) for x in (0, width - size) for y in (0, height - size)]
        inner = zip(rng.integers(0, width - size + 1, 20), rng.integers(0, height - size + 1, 20), strict=True)
        for x, y in [*corners, *inner]:
            face = Box(int(x), int(y), size, size)
            assert any(suits(piece, face) and size * OVERLAP * 0.999 <= piece.largest + 1 for piece in cut), face


@pytest.mark.parametrize(("width", "height"), SHAPES)
def test_pieces_lie_inside_the_image_and_none_is_much_larger_than_meant_as_it_is_searched(width, height):
    for piece in pieces(width, height, MIN_FACE, WINDOW):
        assert holds(Box(0, 0, width, height), piece.area)
        assert min(piece.area.width, piece.area.height) >= piece.smallest
        shrink = max(1.0, piece.smallest / WINDOW)
        assert piece.area.width * piece.area.height / shrink**2 <= 1.5 * PIECE


@pytest.mark.parametrize(("width", "height", "min_face"), [(29, 200, 30), (200, 29, 30), (640, 480, 481), (1, 1, 16)])
def test_a_image_smaller_than_the_smallest_face_has_no_pieces_and_is_no_trouble(width, height, min_face):
    assert pieces(width, height, min_face, WINDOW) == []
    sweep = TileScheduler(min_face, WINDOW)
    for now in (0.0, 0.1, 5.0):
        assert sweep.look(np.full((height, width), 90, np.uint8), now, []) == ([], now == 0)
    assert sweep.whole(np.full((height, width), 90, np.uint8)) == []


def searched_pixels(cut: list[Tile]) -> float:
    return sum(piece.area.width * piece.area.height / max(1.0, piece.smallest / WINDOW) ** 2 for piece in cut)


def test_in_a_wider_image_the_smallest_face_grows_along_and_the_cost_does_not():
    for factor in (0.5, 1, 2, 3):
        width = round(factor * SEARCH_WIDTH)
        cut = TileScheduler(MIN_FACE, WINDOW).whole(np.zeros((width * 3 // 4, width), np.uint8))
        assert min(piece.smallest for piece in cut) == MIN_FACE * max(1, factor)
        assert searched_pixels(cut) <= 1.1 * searched_pixels(pieces(640, 480, MIN_FACE, WINDOW))


# --- when they are searched -----------------------------------------------------------------------------------------


def test_the_first_image_is_another_scene_and_searched_as_a_whole(rooms):
    sweep = TileScheduler(MIN_FACE, WINDOW)
    assert sweep.look(rooms[0], 100.0, []) == (pieces(640, 480, MIN_FACE, WINDOW), True)


def test_a_still_scene_is_searched_only_once_in_each_rest(rooms):
    sweep = TileScheduler(MIN_FACE, WINDOW)
    rested(sweep, rooms[0])
    last = dict.fromkeys(sweep._pieces, 0.0)
    count = 0
    for number in range(1, round(3.4 * REST / STEP)):
        now = number * STEP
        for piece in sweep.look(rooms[number % len(rooms)], now, [])[0]:  # with a camera's noise
            assert REST <= now - last[piece] <= REST + ALONE + STEP
            last[piece] = now
            count += 1
    assert count == pytest.approx(3 * len(last), abs=len(last) / 2)


@pytest.mark.parametrize(("known", "seconds"), [((), ALONE), ((SOMEBODY,), COMPANY)])
def test_a_change_beside_known_faces_is_searched_in_time_and_only_there(rooms, known, seconds):
    rng = np.random.default_rng(1)
    for _ in range(12):
        sweep = TileScheduler(MIN_FACE, WINDOW)
        start = rested(sweep, rooms[0])
        start += STEP * int(rng.integers(1, 40))
        watch(sweep, rooms[0], 0.0, start)  # so that it is another piece's turn each time
        size = int(rng.integers(MIN_FACE, 100))
        new = Box(int(rng.integers(0, 320 - size)), int(rng.integers(0, 480 - size)), size, size)
        image = rooms[1].copy()
        image[new.y : new.y + size, new.x : new.x + size] += 25
        found = watch(sweep, image, start, seconds + STEP, known)
        assert any(suits(piece, new) for _, piece in found)
        assert all(piece.area.iou(Box(new.x - 16, new.y - 16, size + 32, size + 32)) for _, piece in found)
        assert not watch(sweep, image, start + seconds + STEP, seconds, known)  # once is enough


def test_what_moves_at_the_place_of_a_known_face_is_no_reason_to_search(rooms):
    for known, expected in (((SOMEBODY,), False), ((), True)):
        sweep = TileScheduler(MIN_FACE, WINDOW)
        rested(sweep, rooms[0])
        image = draw_faces(("happy", SOMEBODY))
        assert bool(watch(sweep, image, 0.0, COMPANY + STEP, known)) == expected


@pytest.mark.parametrize("light", [40, -25])
def test_a_lamp_that_is_switched_changes_nothing(rooms, light):
    sweep = TileScheduler(MIN_FACE, WINDOW)
    rested(sweep, rooms[0])
    image = np.clip(rooms[1].astype(int) + light, 0, 255).astype(np.uint8)
    assert watch(sweep, image, 0.0, REST / 2) == []


def test_a_lamp_that_lights_one_side_more_than_the_other_is_no_other_scene(rooms):
    sweep = TileScheduler(MIN_FACE, WINDOW)
    rested(sweep, rooms[0])
    lit = np.clip(rooms[1] + np.linspace(0, 50, 640), 0, 255).astype(np.uint8)
    watch(sweep, lit, 0.0, STEP)


def test_a_cut_searches_everything_at_once(rooms):
    sweep = TileScheduler(MIN_FACE, WINDOW)
    rested(sweep, rooms[0])
    elsewhere = np.ascontiguousarray(255 - rooms[0][:, ::-1])
    elsewhere[:, 200:400] = 30
    assert sweep.look(elsewhere, STEP, [SOMEBODY]) == (pieces(640, 480, MIN_FACE, WINDOW), True)
    assert watch(sweep, elsewhere, STEP, REST - 2 * STEP) == []


def test_a_source_that_starts_over_is_another_scene(rooms):
    sweep = TileScheduler(MIN_FACE, WINDOW)
    rested(sweep, rooms[0], now=50.0)
    assert sweep.look(rooms[1], 0.0, []) == (pieces(640, 480, MIN_FACE, WINDOW), True)
    assert watch(sweep, rooms[1], 0.0, REST - STEP) == []


def test_a_image_of_another_size_is_another_scene(rooms):
    sweep = TileScheduler(MIN_FACE, WINDOW)
    rested(sweep, rooms[0])
    smaller = np.ascontiguousarray(rooms[0][:240, :320])
    assert sweep.look(smaller, STEP, []) == (pieces(320, 240, MIN_FACE, WINDOW), True)


def restless(number):
    """Return an image of which every part differs from that of any other number, by too little for another scene."""
    cells = np.random.default_rng(number).integers(0, 2, (30, 40))
    return np.kron(100 + 20 * cells, np.ones((16, 16))).astype(np.uint8)


@pytest.mark.parametrize("known", [(), (SOMEBODY,)])
def test_a_slow_board_searches_as_much_a_second_as_a_fast_one(known):
    seconds, images = 10, [restless(number) for number in range(37)]
    counts = {}
    for fps in (2, 8, 32, 128):
        sweep = TileScheduler(MIN_FACE, WINDOW)
        rested(sweep, images[0])
        counts[fps] = sum(
            len(sweep.look(images[number % 37], number / fps, known)[0]) for number in range(1, seconds * fps + 1)
        )
    expected = seconds / (COMPANY if known else ALONE) * len(pieces(640, 480, MIN_FACE, WINDOW))
    assert list(counts.values()) == pytest.approx([expected] * 4, rel=0.05)


def test_a_very_slow_board_searches_the_whole_image_once_a_frame():
    sweep = TileScheduler(MIN_FACE, WINDOW)
    rested(sweep, restless(0))
    for number in range(1, 5):
        chosen, _ = sweep.look(restless(number), 3.0 * number, [])
        assert len(set(chosen)) == len(chosen) == len(pieces(640, 480, MIN_FACE, WINDOW))


def test_where_somebody_was_lost_is_searched_again_though_nothing_changes(rooms):
    sweep = TileScheduler(MIN_FACE, WINDOW)
    rested(sweep, rooms[0])
    sweep.lose(SOMEBODY)
    found = watch(sweep, rooms[1], 0.0, ALONE + STEP)
    assert any(suits(piece, SOMEBODY) for _, piece in found)
    assert all(piece.area.iou(SOMEBODY) for _, piece in found)
    assert watch(sweep, rooms[1], ALONE + STEP, ALONE) == []


def test_a_image_on_its_own_is_searched_as_a_whole_and_is_no_past_of_the_next(rooms):
    sweep = TileScheduler(MIN_FACE, WINDOW)
    for image in rooms[:2]:
        assert sweep.whole(image) == pieces(640, 480, MIN_FACE, WINDOW)
    assert sweep.look(rooms[0], 0.0, [])[1]
    sweep.whole(rooms[0])
    assert sweep.look(rooms[0], 0.1, [])[1]
