"""The tile scheduler: every face is in a tile, motion is searched in time, and a static scene costs almost nothing."""

from functools import partial

import numpy as np
import pytest

from edge.config.defaults import MIN_FACE_SIZE, SEARCH_WIDTH_PIXELS
from edge.detection.haar import WINDOW_PIXELS
from edge.detection.tile_scheduler import (
    FULL_SCAN_SECONDS_IDLE,
    FULL_SCAN_SECONDS_TRACKING,
    MAX_TILE_AGE_SECONDS,
    SIZE_OVERLAP,
    TILE_PIXELS,
    UPRIGHT_SEARCHES,
    Tile,
    TileScheduler,
    make_tiles,
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
FRAME_SECONDS = 1 / 32  # from frame to frame; exact in binary, so that a second is an integer number of frames
TRACKED = Box(420, 200, 100, 100)
ALL_TILES = make_tiles(640, 480, MIN_FACE_SIZE, WINDOW_PIXELS)


def room(seed=0, size=(640, 480)):
    """Return the dim room with camera noise, another noise for another `seed`."""
    noise = np.random.default_rng(seed).normal(0, 10, (size[1], size[0]))
    return np.clip(draw_faces(size=size) + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def rooms():
    return [room(seed) for seed in range(8)]


def started(image, now=0.0):
    """Return a scheduler that has searched all of `image` at `now`, its first frame."""
    scheduler = TileScheduler(MIN_FACE_SIZE, WINDOW_PIXELS)
    tiles, _ = scheduler.select_tiles(image, now, [])
    assert tiles
    return scheduler


def searched(scheduler, image, start, seconds, tracked=()):
    """Show a static `image` for some seconds; return (time, tile) of each search. There must be no scene cut."""
    found = []
    for number in range(1, round(seconds / FRAME_SECONDS) + 1):
        now = start + number * FRAME_SECONDS
        tiles, scene_cut = scheduler.select_tiles(image, now, tracked)
        assert not scene_cut
        found += [(now, tile) for tile in tiles]
    return found


def contains(area: Box, box: Box) -> bool:
    horizontally = area.x <= box.x and box.x + box.width <= area.x + area.width
    return horizontally and area.y <= box.y and box.y + box.height <= area.y + area.height


def covers(tile: Tile, face: Box) -> bool:
    return contains(tile.area, face) and tile.min_size <= face.width <= tile.max_size


# --- the tiles ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), SHAPES)
@pytest.mark.parametrize("min_face_size", [16, MIN_FACE_SIZE, 47.5, 200])
def test_every_face_lies_inside_a_tile_for_its_size(width, height, min_face_size):
    rng = np.random.default_rng(width + height)
    tiles = make_tiles(width, height, min_face_size, WINDOW_PIXELS)
    sizes = {*np.geomspace(min_face_size, max(min_face_size, min(width, height)), 25)}
    for size in (int(np.ceil(size)) for size in sizes if np.ceil(size) <= min(width, height)):
        corners = [(x, y) for x in (0, width - size) for y in (0, height - size)]
        inner = zip(rng.integers(0, width - size + 1, 20), rng.integers(0, height - size + 1, 20), strict=True)
        for x, y in [*corners, *inner]:
            face = Box(int(x), int(y), size, size)
            assert any(covers(tile, face) and size * SIZE_OVERLAP * 0.999 <= tile.max_size + 1 for tile in tiles), face


@pytest.mark.parametrize(("width", "height"), SHAPES)
def test_tiles_lie_inside_the_image_and_have_a_limited_area(width, height):
    for tile in make_tiles(width, height, MIN_FACE_SIZE, WINDOW_PIXELS):
        assert contains(Box(0, 0, width, height), tile.area)
        assert min(tile.area.width, tile.area.height) >= tile.min_size
        assert downscaled_pixels([tile]) <= 1.5 * TILE_PIXELS


def downscaled_pixels(tiles: list[Tile]) -> float:
    return sum(tile.area.width * tile.area.height / max(1.0, tile.min_size / WINDOW_PIXELS) ** 2 for tile in tiles)


@pytest.mark.parametrize(
    ("width", "height", "min_face_size"), [(29, 200, 30), (200, 29, 30), (640, 480, 481), (1, 1, 16)]
)
def test_image_smaller_than_the_smallest_face_has_no_tiles(width, height, min_face_size):
    assert make_tiles(width, height, min_face_size, WINDOW_PIXELS) == []
    scheduler = TileScheduler(min_face_size, WINDOW_PIXELS)
    for now in (0.0, 0.1, 5.0):
        assert scheduler.select_tiles(np.full((height, width), 90, np.uint8), now, []) == ([], now == 0)
    assert scheduler.all_tiles((height, width)) == []


def test_wider_image_has_a_larger_smallest_face_at_the_same_cost():
    for factor in (0.5, 1, 2, 3):
        width = round(factor * SEARCH_WIDTH_PIXELS)
        tiles = TileScheduler(MIN_FACE_SIZE, WINDOW_PIXELS).all_tiles((width * 3 // 4, width))
        assert min(tile.min_size for tile in tiles) == MIN_FACE_SIZE * max(1, factor)
        assert downscaled_pixels(tiles) <= 1.1 * downscaled_pixels(ALL_TILES)


# --- when they are searched ---------------------------------------------------------------------------------------


def test_first_image_is_a_scene_cut_with_all_tiles(rooms):
    scheduler = TileScheduler(MIN_FACE_SIZE, WINDOW_PIXELS)
    assert scheduler.select_tiles(rooms[0], 100.0, []) == (ALL_TILES, True)


def test_static_scene_is_searched_once_per_maximum_age(rooms):
    scheduler = started(rooms[0])
    searched_at = dict.fromkeys(ALL_TILES, 0.0)
    count = 0
    for number in range(1, round(3.4 * MAX_TILE_AGE_SECONDS / FRAME_SECONDS)):
        now = number * FRAME_SECONDS
        for tile in scheduler.select_tiles(rooms[number % len(rooms)], now, [])[0]:  # with camera noise
            age = now - searched_at[tile]
            assert MAX_TILE_AGE_SECONDS <= age <= MAX_TILE_AGE_SECONDS + FULL_SCAN_SECONDS_IDLE + FRAME_SECONDS
            searched_at[tile] = now
            count += 1
    assert count == pytest.approx(3 * len(ALL_TILES), abs=len(ALL_TILES) / 2)


@pytest.mark.parametrize(
    ("tracked", "seconds"), [((), FULL_SCAN_SECONDS_IDLE), ((TRACKED,), FULL_SCAN_SECONDS_TRACKING)]
)
def test_motion_is_searched_in_time_and_only_there(rooms, tracked, seconds):
    rng = np.random.default_rng(1)
    for _ in range(12):
        scheduler = started(rooms[0])
        start = FRAME_SECONDS * int(rng.integers(1, 40))
        searched(scheduler, rooms[0], 0.0, start)  # so that another tile is due first each time
        size = int(rng.integers(MIN_FACE_SIZE, 100))
        new = Box(int(rng.integers(0, 320 - size)), int(rng.integers(0, 480 - size)), size, size)
        image = rooms[1].copy()
        image[new.y : new.y + size, new.x : new.x + size] += 25
        found = searched(scheduler, image, start, seconds + FRAME_SECONDS, tracked)
        assert any(covers(tile, new) for _, tile in found)
        assert all(tile.area.iou(Box(new.x - 16, new.y - 16, size + 32, size + 32)) for _, tile in found)
        assert not searched(scheduler, image, start + seconds + FRAME_SECONDS, seconds, tracked)  # only once


@pytest.mark.parametrize(("tracked", "expected"), [((TRACKED,), False), ((), True)])
def test_motion_at_a_tracked_face_is_not_searched(rooms, tracked, expected):
    scheduler, image = started(rooms[0]), draw_faces(("happy", TRACKED))
    assert bool(searched(scheduler, image, 0.0, FULL_SCAN_SECONDS_TRACKING + FRAME_SECONDS, tracked)) == expected


@pytest.mark.parametrize("face", [Box(100, 300, 60, 60), Box(0, 0, 60, 60), Box(580, 420, 60, 60)])
def test_motion_just_around_a_tracked_face_is_not_searched(face, rooms):
    image = moved_at(rooms[0], face.padded(18).clipped(640, 480))  # hair and neck move with the face
    assert searched(started(rooms[0]), image, 0.0, FULL_SCAN_SECONDS_TRACKING + FRAME_SECONDS, [face]) == []


@pytest.mark.parametrize("change", [20, -20])
def test_beside_large_motion_nothing_is_searched(change, rooms):
    image, size = rooms[0].astype(int), 250  # columns, more than a third of the image
    image[:, :size] += change
    found = searched(started(rooms[0]), np.clip(image, 0, 255).astype(np.uint8), 0.0, FULL_SCAN_SECONDS_IDLE)
    assert found
    assert all(tile.area.x < size for _, tile in found)


@pytest.mark.parametrize("x", [40, 88])
def test_face_of_which_only_a_corner_moved_is_searched(x, rooms):
    face, corner = Box(40, 300, 64, 64), Box(x, 352, 16, 12)
    found = searched(started(rooms[0]), moved_at(rooms[0], corner), 0.0, FULL_SCAN_SECONDS_IDLE + FRAME_SECONDS)
    assert any(covers(tile, face) for _, tile in found)


@pytest.mark.parametrize(("x", "y"), [(0, 0), (580, 420)])
def test_search_after_motion_at_the_border_lies_inside_the_image(x, y, rooms):
    found = searched(started(rooms[0]), moved_at(rooms[0], Box(x, y, 60, 60)), 0.0, FULL_SCAN_SECONDS_IDLE)
    assert found
    assert all(contains(Box(0, 0, 640, 480), tile.area) for _, tile in found)


@pytest.mark.parametrize("light", [40, -25])
def test_light_that_is_switched_is_no_motion(rooms, light):
    image = np.clip(rooms[1].astype(int) + light, 0, 255).astype(np.uint8)
    assert searched(started(rooms[0]), image, 0.0, MAX_TILE_AGE_SECONDS / 2) == []


def test_light_from_one_side_is_no_scene_cut(rooms):
    lit = np.clip(rooms[1] + np.linspace(0, 50, 640), 0, 255).astype(np.uint8)
    searched(started(rooms[0]), lit, 0.0, FRAME_SECONDS)


def test_scene_cut_selects_all_tiles_at_once(rooms):
    scheduler = started(rooms[0])
    other = np.ascontiguousarray(255 - rooms[0][:, ::-1])
    other[:, 200:400] = 30
    assert scheduler.select_tiles(other, FRAME_SECONDS, [TRACKED]) == (ALL_TILES, True)
    assert searched(scheduler, other, FRAME_SECONDS, MAX_TILE_AGE_SECONDS - 2 * FRAME_SECONDS) == []


def test_source_that_restarts_is_a_scene_cut(rooms):
    scheduler = started(rooms[0], now=50.0)
    assert scheduler.select_tiles(rooms[1], 0.0, []) == (ALL_TILES, True)
    assert searched(scheduler, rooms[1], 0.0, MAX_TILE_AGE_SECONDS - FRAME_SECONDS) == []


def test_frame_of_the_same_time_is_no_scene_cut(rooms):
    assert started(rooms[0], now=50.0).select_tiles(rooms[1], 50.0, []) == ([], False)


def test_where_a_face_was_before_a_restart_motion_is_searched(rooms):
    scheduler = started(rooms[0], now=50.0)
    searched(scheduler, rooms[0], 50.0, FULL_SCAN_SECONDS_TRACKING, [TRACKED])
    assert scheduler.select_tiles(rooms[0], 0.0, []) == (ALL_TILES, True)
    found = searched(scheduler, draw_faces(("happy", TRACKED)), 0.0, FULL_SCAN_SECONDS_IDLE + FRAME_SECONDS)
    assert any(covers(tile, TRACKED) for _, tile in found)


def test_image_of_another_size_is_a_scene_cut(rooms):
    smaller = np.ascontiguousarray(rooms[0][:240, :320])
    expected = make_tiles(320, 240, MIN_FACE_SIZE, WINDOW_PIXELS)
    assert started(rooms[0]).select_tiles(smaller, FRAME_SECONDS, []) == (expected, True)


def changing(number):
    """Return an image that differs from that of any other number everywhere, by too little for a scene cut."""
    cells = np.random.default_rng(number).integers(0, 2, (30, 40))
    return np.kron(100 + 20 * cells, np.ones((16, 16))).astype(np.uint8)


@pytest.mark.parametrize(
    ("tracked", "scan_seconds"), [((), FULL_SCAN_SECONDS_IDLE), ((TRACKED,), FULL_SCAN_SECONDS_TRACKING)]
)
def test_number_of_searches_per_second_is_independent_of_the_fps(tracked, scan_seconds):
    seconds, images = 10, [changing(number) for number in range(37)]
    counts = []
    for fps in (2, 8, 32, 128):
        scheduler = started(images[0])
        tiles = [
            scheduler.select_tiles(images[number % 37], number / fps, tracked)[0]
            for number in range(1, seconds * fps + 1)
        ]
        counts.append(sum(map(len, tiles)))
    assert counts == pytest.approx([seconds / scan_seconds * len(ALL_TILES)] * 4, rel=0.05)


def test_very_slow_board_selects_each_tile_once_a_frame():
    scheduler = TileScheduler(MIN_FACE_SIZE, WINDOW_PIXELS, rolls=ROLLS)
    scheduler.select_tiles(changing(0), 0.0, [])
    for number in range(1, 5):
        tiles, _ = scheduler.select_tiles(changing(number), 3.0 * number, [])
        assert len(set(tiles)) == len(tiles) == len(ALL_TILES)


def test_invalidated_tiles_are_searched_again_without_motion(rooms):
    scheduler = started(rooms[0])
    scheduler.invalidate(TRACKED)
    found = searched(scheduler, rooms[1], 0.0, FULL_SCAN_SECONDS_IDLE + FRAME_SECONDS)
    assert any(covers(tile, TRACKED) for _, tile in found)
    assert all(tile.area.iou(TRACKED) for _, tile in found)
    after = FULL_SCAN_SECONDS_IDLE + FRAME_SECONDS
    assert searched(scheduler, rooms[1], after, FULL_SCAN_SECONDS_IDLE) == []


def test_all_tiles_are_those_of_the_shape_and_change_no_state(rooms):
    scheduler = TileScheduler(MIN_FACE_SIZE, WINDOW_PIXELS)
    assert scheduler.all_tiles((480, 640)) == ALL_TILES
    assert scheduler.select_tiles(rooms[0], 0.0, [])[1]
    scheduler.all_tiles((480, 640))
    assert scheduler.select_tiles(rooms[0], 0.1, []) == ([], False)


def test_a_detector_can_have_tiles_of_its_own(rooms):
    scheduler = TileScheduler(MIN_FACE_SIZE, WINDOW_PIXELS, lambda *sides: [Tile(Box(0, 0, *sides[:2]), sides[2], 480)])
    tiles = [Tile(Box(0, 0, 640, 480), MIN_FACE_SIZE, 480)]
    assert scheduler.select_tiles(rooms[0], 0.0, []) == (tiles, True)


@pytest.mark.parametrize("corner", [Box(0, 0, 60, 60), Box(580, 420, 60, 60)])
def test_motion_is_searched_in_tiles_that_reach_beyond_the_image(corner, rooms):
    tiles = partial(make_tiles, window=WINDOW_PIXELS, border=0.25)
    scheduler = TileScheduler(MIN_FACE_SIZE, WINDOW_PIXELS, tiles)
    assert scheduler.select_tiles(rooms[0], 0.0, [])[1]
    found = searched(scheduler, moved_at(rooms[0], corner), 0.0, FULL_SCAN_SECONDS_IDLE + FRAME_SECONDS)
    assert any(covers(tile, corner) for _, tile in found)
    assert not any(contains(Box(0, 0, 640, 480), tile.area) for _, tile in found)


# --- tilted heads, the border, and what a tracked face hides ------------------------------------------------------

NEW = Box(100, 300, 60, 60)
ROLLS = (20.0, -20.0)


def moved_at(image, box):
    image = image.copy()
    image[box.y : box.y + box.height, box.x : box.x + box.width] += 25
    return image


@pytest.fixture
def turning(rooms):
    """A scheduler with turned searches, those of the first image made."""
    scheduler = TileScheduler(MIN_FACE_SIZE, WINDOW_PIXELS, rolls=ROLLS)
    assert scheduler.select_tiles(rooms[0], 0.0, []) == (ALL_TILES, True)
    first = searched(scheduler, rooms[0], 0.0, FULL_SCAN_SECONDS_IDLE + FRAME_SECONDS)
    assert sorted(tile.roll for _, tile in first) == sorted(ROLLS * len(ALL_TILES))
    return scheduler


def test_motion_is_followed_by_one_search_of_each_roll(turning, rooms):
    start = FULL_SCAN_SECONDS_IDLE + FRAME_SECONDS
    found = searched(turning, moved_at(rooms[0], NEW), start, 3 * FULL_SCAN_SECONDS_IDLE)
    at_face = [tile.roll for _, tile in found if covers(tile, NEW)]
    assert at_face[0] == 0
    assert sorted(at_face) == sorted([0, *ROLLS] * (len(at_face) // 3))
    assert found[-1][0] - start <= 2 * FULL_SCAN_SECONDS_IDLE + FRAME_SECONDS


def test_after_a_scene_cut_tilted_heads_are_not_searched(turning, rooms):
    now, other = FULL_SCAN_SECONDS_IDLE + FRAME_SECONDS, np.ascontiguousarray(255 - rooms[0])
    other[:, 200:400] = 30
    assert turning.select_tiles(other, now + FRAME_SECONDS, []) == (ALL_TILES, True)
    assert searched(turning, other, now + FRAME_SECONDS, 2 * FULL_SCAN_SECONDS_IDLE) == []


def test_while_motion_goes_on_one_search_in_four_is_turned():
    scheduler = TileScheduler(MIN_FACE_SIZE, WINDOW_PIXELS, rolls=ROLLS)
    tiles = [tile for number in range(300) for tile in scheduler.select_tiles(changing(number), number / 10, [])[0]]
    turned = [tile.roll for tile in tiles if tile.roll]
    assert len(turned) == pytest.approx(len(tiles) / (UPRIGHT_SEARCHES + 1), rel=0.1)
    assert turned.count(ROLLS[0]) == pytest.approx(len(turned) / 2, rel=0.2)


def test_room_a_tracked_face_left_is_searched_upright_only(turning, rooms):
    start, seconds = FULL_SCAN_SECONDS_IDLE + FRAME_SECONDS, 3 * FULL_SCAN_SECONDS_TRACKING
    assert searched(turning, moved_at(rooms[0], NEW), start, seconds, [NEW]) == []
    left = searched(turning, moved_at(rooms[0], NEW), start + seconds, seconds, [TRACKED])
    assert left
    assert not any(tile.roll for _, tile in left)
    again = searched(turning, rooms[0], start + 2 * seconds, seconds, [TRACKED])
    assert {tile.roll for _, tile in again if covers(tile, NEW)} == {0.0, *ROLLS}


def test_room_where_a_face_was_lost_is_searched_turned_as_well(turning, rooms):
    start, seconds = FULL_SCAN_SECONDS_IDLE + FRAME_SECONDS, 3 * FULL_SCAN_SECONDS_TRACKING
    assert searched(turning, moved_at(rooms[0], NEW), start, seconds, [NEW]) == []
    turning.invalidate(NEW)
    found = searched(turning, moved_at(rooms[0], NEW), start + seconds, seconds, [TRACKED])
    assert {tile.roll for _, tile in found if covers(tile, NEW)} == {0.0, *ROLLS}


def test_only_the_part_of_a_tile_around_the_motion_is_searched(rooms):
    (_, tile), *_ = searched(started(rooms[0]), moved_at(rooms[0], NEW), 0.0, FULL_SCAN_SECONDS_IDLE)
    whole = next(whole for whole in ALL_TILES if whole.max_size == tile.max_size and contains(whole.area, tile.area))
    assert tile.area.width * tile.area.height < 0.8 * whole.area.width * whole.area.height
    assert contains(tile.area, NEW)


def test_tilted_heads_are_searched_only_around_the_motion(turning, rooms):
    start = FULL_SCAN_SECONDS_IDLE + FRAME_SECONDS
    found = searched(turning, moved_at(rooms[0], NEW), start, 2 * FULL_SCAN_SECONDS_IDLE + FRAME_SECONDS)
    upright = [(tile.area, tile.max_size) for _, tile in found if not tile.roll]
    for roll in ROLLS:
        assert [(tile.area, tile.max_size) for _, tile in found if tile.roll == roll] == upright


def test_tilted_heads_are_searched_only_where_motion_goes_on(turning, rooms):
    areas: dict[float, set[tuple[Box, float]]] = {roll: set() for roll in (0.0, *ROLLS)}
    for number in range(2, round(MAX_TILE_AGE_SECONDS / FULL_SCAN_SECONDS_IDLE)):
        image = rooms[0] if number % 2 else moved_at(rooms[0], NEW)
        for tile in turning.select_tiles(image, number * FULL_SCAN_SECONDS_IDLE, [])[0]:
            areas[tile.roll].add((tile.area, tile.max_size))
    assert areas[0.0] == areas[ROLLS[0]] == areas[ROLLS[1]]


def test_place_that_a_tracked_face_leaves_is_not_searched(rooms):
    scheduler, gone = started(rooms[0]), Box(NEW.x + 200, NEW.y, NEW.width, NEW.height)
    start = FULL_SCAN_SECONDS_TRACKING + FRAME_SECONDS
    searched(scheduler, moved_at(rooms[0], NEW), 0.0, start, [NEW])
    assert searched(scheduler, moved_at(rooms[0], gone), start, start, [gone]) == []


def test_place_left_after_a_search_beside_it_is_not_searched(rooms):
    scheduler, other = started(rooms[0]), Box(NEW.x, NEW.y - 100, 30, 30)
    start = FULL_SCAN_SECONDS_TRACKING + FRAME_SECONDS
    assert searched(scheduler, moved_at(moved_at(rooms[0], NEW), other), 0.0, start, [NEW])
    assert searched(scheduler, moved_at(rooms[0], other), start, start) == []


def test_another_face_where_a_tracked_one_leaves_is_searched(rooms):
    scheduler, gone = started(rooms[0]), Box(NEW.x + 200, NEW.y, NEW.width, NEW.height)
    start = FULL_SCAN_SECONDS_TRACKING + FRAME_SECONDS
    searched(scheduler, moved_at(rooms[0], NEW), 0.0, start, [NEW])
    assert searched(scheduler, moved_at(moved_at(rooms[0], NEW), gone), start, start, [gone])


@pytest.mark.parametrize("border", [0.0, 0.25])
def test_tiles_reach_beyond_the_image_by_the_border(border):
    for tile in make_tiles(640, 480, MIN_FACE_SIZE, WINDOW_PIXELS, border):
        pad = round(border * tile.max_size)
        assert contains(Box(-pad, -pad, 640 + 2 * pad, 480 + 2 * pad), tile.area)
    tiles = make_tiles(640, 480, MIN_FACE_SIZE, WINDOW_PIXELS, border)
    pad = round(border * tiles[-1].max_size)
    assert (min(tile.area.x for tile in tiles), min(tile.area.y for tile in tiles)) == (-pad, -pad)
    assert max(tile.area.x + tile.area.width for tile in tiles) == 640 + pad
    assert max(tile.area.y + tile.area.height for tile in tiles) == 480 + pad
