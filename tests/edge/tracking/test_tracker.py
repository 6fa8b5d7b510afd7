"""Everybody is found in time, followed, told apart and forgotten: by seconds and not by frames."""

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from edge.capture.synthetic import SyntheticScene
from edge.detection.haar import DENSE, MIN_FACE, WINDOW, HaarDetector
from edge.detection.tile_scheduler import ALONE, COMPANY, REST, SEARCH_WIDTH
from edge.inference.preprocess import cut
from edge.tracking.tracker import AWAY, CHECK, CONVINCING, HOLD, LASTING, MEMORY, SETTLE, STILL, Tracker, apart
from edge.types import Box, Detection
from tests.support.images import draw_faces

FPS = 30
HERE, THERE = Box(250, 150, 110, 110), Box(60, 250, 100, 100)


@pytest.fixture(scope="module")
def detector():
    return HaarDetector()


@pytest.fixture
def tracker(detector):
    return Tracker(detector)


class Script:
    """Stands in for the detector: finds who the test says is there, where they lie wholly in the part searched."""

    def __init__(self, *people: tuple[Box, int]):
        self.people, self.calls = list(people), 0
        self.windows: list[float] = []

    own = 20

    def find(self, gray, within=None, smallest=0.0, largest=None, window=WINDOW):
        self.calls += 1
        self.windows.append(window)
        part = within or Box(0, 0, gray.shape[1], gray.shape[0])
        return [
            Detection(box, support)
            for box, support in self.people
            if part.x <= box.x and box.x + box.width <= part.x + part.width
            if part.y <= box.y and box.y + box.height <= part.y + part.height
            if smallest <= box.width <= (largest or 9999)
        ]


def scripted(finder: Any, min_face: int = MIN_FACE) -> Tracker:
    """Return a Tracker that has a stand-in for its detector."""
    return Tracker(finder, min_face)


def ids(seen) -> list[int]:
    return [sighting.id for sighting in seen]


def moved(box: Box, dx: float, dy: float = 0) -> Box:
    return Box(round(box.x + dx), round(box.y + dy), box.width, box.height)


def play(tracker, seconds, image, start=0.0, fps=FPS):
    """Show what `image(seconds since start)` returns for so long, and return (time, sightings) of each frame."""
    moments = [start + number / fps for number in range(round(seconds * fps))]
    return [(now, tracker.update(image(now - start), now)) for now in moments]


def still(*people):
    image = draw_faces(*people)
    return lambda _: image


def who(seen, box: Box) -> int:
    """Return the id of the sighting at `box`; 0: none there, -1: several."""
    there = [sighting.id for sighting in seen if sighting.box.iou(box) > 0.4]
    return (there or [0])[0] if len(there) < 2 else -1


# --- coming, staying, going -----------------------------------------------------------------------------------------


def test_a_face_that_is_there_from_the_start_is_told_in_the_first_image(tracker):
    (first,) = tracker.update(draw_faces(("happy", HERE)), 0.0)
    assert first.id == 1
    assert first.box.iou(HERE) > 0.7


@pytest.mark.parametrize("fps", [5, 30])
@pytest.mark.parametrize("start", [0.0, 0.11, 0.24, 0.37])  # the pieces' turns fall otherwise
def test_who_steps_into_an_empty_image_is_seen_in_time(tracker, fps, start):
    play(tracker, 1 + start, still(), fps=fps)
    entered = 1 + start
    played = play(tracker, 2, still(("sad", HERE)), entered, fps)
    assert next(now for now, seen in played if who(seen, HERE) == 1) - entered <= ALONE + 1 / fps
    assert all(ids(seen) in ([], [1]) for _, seen in played)


@pytest.mark.parametrize("start", [0.0, 0.3, 0.6, 0.9])
def test_who_steps_beside_somebody_known_is_seen_in_time(tracker, start):
    play(tracker, 1 + start, still(("happy", HERE)))
    entered = 1 + start
    played = play(tracker, 3, still(("happy", HERE), ("neutral", THERE)), entered)
    assert next(now for now, seen in played if who(seen, THERE) == 2) - entered <= COMPANY + 1 / FPS
    assert all(ids(seen) in ([1], [1, 2]) for _, seen in played)  # who is known longest comes first


def test_who_walks_keeps_the_identity_and_the_box_goes_along(tracker):
    def walker(seconds):
        return moved(Box(20, 200, 90, 90), 150 * seconds, 40 * np.sin(4 * seconds))

    for now, seen in play(tracker, 3, lambda seconds: draw_faces(("happy", walker(seconds)))):
        assert who(seen, walker(now)) == 1


def test_at_two_frames_a_second_who_moves_slowly_keeps_the_identity(tracker):
    for now, seen in play(tracker, 6, lambda seconds: draw_faces(("happy", moved(HERE, 50 * seconds))), fps=2):
        assert who(seen, moved(HERE, 50 * now)) == 1


def test_who_comes_nearer_keeps_the_identity_and_the_box_grows(tracker):
    def nearer(seconds):
        side = round(60 + 60 * seconds)
        return Box(320 - side // 2, 240 - side // 2, side, side)

    for now, seen in play(tracker, 3, lambda seconds: draw_faces(("neutral", nearer(seconds)))):
        assert who(seen, nearer(now)) == 1


def test_who_leaves_is_gone_at_once(tracker):
    play(tracker, 1, still(("happy", HERE)))
    assert [ids(seen) for _, seen in play(tracker, 1, still(), 1.0)] == [[]] * FPS


@pytest.mark.parametrize(("away", "expected"), [(MEMORY - ALONE - 0.1, 1), (MEMORY + 0.1, 2)])
def test_who_comes_back_soon_is_the_same_and_later_somebody_else(tracker, away, expected):
    play(tracker, 1, still(("happy", HERE)))
    play(tracker, away, still(), 1.0)
    back = play(tracker, ALONE + 0.2, still(("happy", moved(HERE, 30))), 1 + away)
    assert ids(back[-1][1]) == [expected]


def test_who_comes_back_far_away_is_somebody_else():
    script = Script((HERE, 9))
    tracker = scripted(script)
    far = moved(HERE, -HERE.width * (AWAY + 0.3))
    tracker.update(draw_faces(("happy", HERE)), 0.0)
    script.people = []
    tracker.update(draw_faces(), 0.1)
    script.people = [(far, 9)]
    assert ids(play(tracker, 1, still(("happy", far)), 0.2)[-1][1]) == [2]


def test_of_two_who_left_who_comes_back_is_the_one_who_was_nearer():
    first, second = Box(100, 150, 100, 100), Box(185, 150, 100, 100)
    script = Script((first, 9), (second, 9))
    tracker = scripted(script)
    assert ids(tracker.update(draw_faces(("happy", first), ("sad", second)), 0.0)) == [1, 2]
    script.people = []
    assert not tracker.update(draw_faces(), 0.1)
    for back, expected in ((moved(second, -20), [2]), (moved(first, 5), [2, 1])):
        script.people.append((back, 9))
        image = draw_faces(*(("sad", box) for box, _ in script.people))
        assert ids(play(tracker, 0.6, lambda _, shown=image: shown, len(expected) * 0.6)[-1][1]) == expected


def test_an_identity_is_never_given_twice(tracker):
    given = []
    for number in range(4):
        start = number * (MEMORY + 2)
        given += ids(play(tracker, 1, still(("happy", HERE)), start)[-1][1])
        play(tracker, MEMORY + 1, still(), start + 1)
    assert given == [1, 2, 3, 4]


def test_a_hand_before_the_face_for_a_moment_costs_no_more_than_that_moment(tracker):
    # The image afterwards is the one before: nothing has changed where the face is, and yet it is looked for.
    covered = draw_faces(("happy", HERE))
    cv2.rectangle(covered, (220, 120), (390, 290), 90, -1)
    play(tracker, 1, still(("happy", HERE)))
    assert all(not seen for _, seen in play(tracker, 0.1, lambda _: covered, 1.0))
    back = play(tracker, 1, still(("happy", HERE)), 1.1)
    assert next(now for now, seen in back if ids(seen) == [1]) <= 1.1 + ALONE


# --- turning away ---------------------------------------------------------------------------------------------------


def turned(degrees: float, box: Box = HERE) -> np.ndarray:
    image = draw_faces(("happy", box))
    center = (box.x + box.width / 2, box.y + box.height / 2)
    turn = cv2.getRotationMatrix2D(center, degrees, 1)
    inside = cv2.warpAffine(image, turn, (640, 480))
    room = draw_faces()
    room[box.y : box.y + box.height, box.x : box.x + box.width] = inside[
        box.y : box.y + box.height, box.x : box.x + box.width
    ]
    return room


def test_a_face_that_turns_away_is_followed_for_as_long_as_it_is_believed(detector, tracker):
    assert not detector.find(turned(30))
    play(tracker, 1, still(("happy", HERE)))
    seen = [now for now, seen in play(tracker, 2 * HOLD, lambda _: turned(30), 1.0) if who(seen, HERE) == 1]
    assert seen[0] == 1
    assert HOLD - CHECK - 2 / FPS <= seen[-1] - 1 <= HOLD
    assert len(seen) == pytest.approx((seen[-1] - 1) * FPS + 1)  # all the while


def test_a_face_that_turns_away_and_moves_is_followed_where_it_goes(tracker):
    play(tracker, 1, still(("happy", HERE)))
    for now, seen in play(tracker, HOLD - 0.2, lambda seconds: turned(30, moved(HERE, -120 * seconds)), 1.0):
        assert who(seen, moved(HERE, -120 * (now - 1))) == 1


def test_a_face_that_turns_back_in_time_goes_on_as_the_same(tracker):
    play(tracker, 1, still(("happy", HERE)))
    for turn in range(3):
        play(tracker, HOLD - 0.3, lambda _: turned(30), 1.0 + turn)
        back = play(tracker, 1 - (HOLD - 0.3), still(("happy", HERE)), 1 + turn + HOLD - 0.3)
        assert all(ids(seen) == [1] for _, seen in back)


# --- several people -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "speed"), [(("angry", "happy"), 100), (("disgust", "surprise"), 250), (("neutral", "sad"), 400)]
)
def test_two_people_who_pass_one_another_keep_their_identities(tracker, names, speed):
    first, second = Box(20, 130, 110, 110), Box(500, 215, 110, 110)
    known = None
    for now, seen in play(
        tracker,
        480 / speed,
        lambda now: draw_faces((names[0], moved(first, speed * now)), (names[1], moved(second, -speed * now))),
    ):
        there = [who(seen, moved(first, speed * now)), who(seen, moved(second, -speed * now))]
        known = known or there
        assert sorted(there) == [1, 2]
        assert there == known


@pytest.mark.parametrize("offset", [0, 40])
@pytest.mark.parametrize("front", [0, 1])
@pytest.mark.parametrize("names", [("angry", "happy"), ("disgust", "surprise")])
def test_nobody_gets_the_identity_of_who_hid_them(tracker, names, front, offset):
    first, second = Box(20, 150, 110, 110), Box(500, 150 + offset, 110, 110)

    def scene(now):
        people = [(names[0], moved(first, 200 * now)), (names[1], moved(second, -200 * now))]
        return draw_faces(*people[:: 1 if front else -1])

    played = play(tracker, 2.4, scene)
    pairs = [(who(seen, moved(first, 200 * now)), who(seen, moved(second, -200 * now))) for now, seen in played]
    assert sorted(pairs[2]) == [1, 2]
    assert all(pairs[-1])
    assert pairs[-1][0] != pairs[2][1]
    assert pairs[-1][1] != pairs[2][0]
    assert pairs[-1][front] == pairs[2][front]  # who stood before the other was never out of sight


def test_everybody_on_the_stage_has_one_sighting_from_soon_after_they_come_until_they_go(tracker):
    stage, came, found = SyntheticScene(face_count=3), dict.fromkeys(range(3), -COMPANY), []
    for now, seen in play(tracker, 10, stage.image):
        assert len(set(ids(seen))) == len(seen)
        for number, actor in enumerate(stage.faces(now)):
            if not actor.visible:
                came[number] = now
            elif now - came[number] > COMPANY + 1 / FPS:
                found.append(who(seen, actor.box) > 0)
    assert len(found) > 600
    assert sum(found) >= 0.99 * len(found)


def test_of_finds_on_one_face_from_overlapping_pieces_the_best_supported_stays():
    finds = [Detection(moved(HERE, 5), 3), Detection(HERE, 20), Detection(moved(HERE, -9), 7), Detection(THERE, 2)]
    assert apart(finds) == [Detection(HERE, 20), Detection(THERE, 2)]
    assert apart([]) == []


@pytest.mark.parametrize(("speed", "offset"), [(200, 10), (120, 25), (320, 25)])
def test_two_who_look_alike_are_never_both_seen_on_one_face(tracker, speed, offset):
    first, second = Box(20, 150, 110, 110), Box(500, 150 + offset, 110, 110)

    def scene(now):
        return draw_faces(("happy", moved(first, speed * now)), ("happy", moved(second, -speed * now)))

    played = [seen for _, seen in play(tracker, 480 / speed, scene)]
    assert not any(len(seen) == 2 and seen[0].box.iou(seen[1].box) > 0.4 for seen in played)
    assert len(played[0]) == len(played[-1]) == 2


def test_two_who_are_followed_to_the_very_same_place_are_one():
    tracker = scripted(Script((HERE, CONVINCING - 1)))
    image = draw_faces(("happy", HERE))
    tracker.update(image, 0.0)
    (track,) = tracker._tracks
    tracker._tracks.append(replace(track, face=track.face.copy()))
    played = play(tracker, 1, lambda _: image, 1 / FPS)
    assert ids(played[-1][1]) == [1]


def test_two_doubtful_finds_that_come_to_be_the_same_face_are_one():
    left, middle, right = (Box(x, 100, 50, 50) for x in (100, 113, 127))
    script = Script((left, 2), (right, 2))
    tracker = scripted(script)
    tracker.update(draw_faces(), 0.0)
    script.people = [(middle, CONVINCING)]
    for number in range(1, 20):
        seen = tracker.update(draw_faces(), number / FPS)
    assert len(seen) == 1
    assert seen[0].box.iou(middle) > 0.9


# --- what is believed -----------------------------------------------------------------------------------------------


def test_a_convincing_find_is_told_at_once_and_a_weak_one_only_when_it_lasts():
    script = Script((HERE, CONVINCING), (THERE, CONVINCING - 1))
    played = play(scripted(script), 1, still(("happy", HERE), ("sad", THERE)))
    assert ids(played[0][1]) == [1]
    told = next(now for now, seen in played if len(seen) == 2)
    assert told == pytest.approx((LASTING - 1) * CHECK, abs=2 / FPS)
    assert ids(played[-1][1]) == [1, 2]


def test_a_weak_find_that_is_not_found_again_is_never_told():
    script = Script((HERE, CONVINCING - 1))
    tracker = scripted(script)
    assert tracker.update(draw_faces(("happy", HERE)), 0.0) == ()
    script.people = []
    assert all(not seen for _, seen in play(tracker, 1, still(("happy", HERE)), 0.1))
    script.people = [(HERE, CONVINCING - 1)]  # and long after it begins anew
    assert tracker.update(draw_faces(("happy", HERE)), 1.2 + REST) == ()


def test_a_weak_find_that_comes_and_goes_is_never_told():
    script = Script()
    tracker = scripted(script)
    for number in range(12 * FPS):
        script.people = [(HERE, CONVINCING - 1)] if number % 12 < 3 else []  # a tenth of a second in each 0.4 s
        assert tracker.update(restless(number), number / FPS) == ()


def restless(number):
    """Return an image in which all changes, so that all is searched in turn, but where a face stays."""
    cells = np.random.default_rng(number).integers(0, 2, (30, 40))
    image = np.kron(100 + 20 * cells, np.ones((16, 16))).astype(np.uint8)
    x, y, side = HERE.x, HERE.y, HERE.width
    image[y : y + side, x : x + side] = draw_faces(("happy", HERE))[y : y + side, x : x + side]
    return image


def test_what_is_in_no_image_is_told_in_none(tracker):
    assert all(not seen for _, seen in play(tracker, REST + 1, still()))


@pytest.mark.parametrize("width", [320, SEARCH_WIDTH, 2 * SEARCH_WIDTH, 3 * SEARCH_WIDTH])
def test_in_a_wider_image_the_smallest_face_is_proportionally_larger(detector, width):
    size, factor = (width, width * 3 // 4), max(1, width / SEARCH_WIDTH)
    for smallest, count in ((MIN_FACE, 1), (2 * MIN_FACE, 0)):
        side = round(1.3 * MIN_FACE * factor)
        face = Box(width // 3, width // 3, side, side)
        seen = Tracker(detector, smallest).still(draw_faces(("neutral", face), size=size))
        assert len(seen) == count


# --- cost -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fps", [10, 30, 90])
def test_a_face_that_stays_is_searched_for_every_so_often_and_not_in_each_frame(fps):
    script = Script((HERE, CONVINCING))
    tracker = scripted(script)
    image = draw_faces(("happy", HERE))
    tracker.update(image, 0.0)
    script.calls = 0
    play(tracker, REST - 1, lambda _: image, 1 / fps, fps)
    assert script.calls == pytest.approx((REST - 1) / CHECK, rel=0.4)


@pytest.mark.parametrize(
    ("support", "finds", "windows"),
    [(CONVINCING, 1, [20, 20 * DENSE]), (CONVINCING - 1, LASTING - 2, [20]), (1, LASTING - 1, [20, 20 * DENSE])],
)
def test_only_somebody_nearly_believed_is_searched_for_with_care_and_only_where_nobody_is_found_without(
    support, finds, windows
):
    script = Script((HERE, support))
    tracker, image = scripted(script), draw_faces(("happy", HERE))
    for number in range(finds):
        tracker.update(image, number * CHECK)
    assert {*script.windows} <= {WINDOW, 20}
    script.windows.clear()
    script.people.clear()
    tracker.update(image, finds * CHECK)
    assert [window for window in script.windows if window != WINDOW] == windows


# --- where exactly ---------------------------------------------------------------------------------------------------


def test_the_boxes_of_a_followed_face_are_as_large_as_those_of_a_full_search(tracker, detector):
    rng, ratios = np.random.default_rng(0), []

    def scene(now):
        side = round(130 + 10 * now)
        return np.clip(draw_faces(("happy", Box(200, 120, side, side))) + rng.normal(0, 4, (480, 640)), 0, 255).astype(
            np.uint8
        )

    for number in range(2 * FPS):
        image = scene(number / FPS)
        (sighting,), (find,) = tracker.update(image, number / FPS), detector.find(image)
        ratios.append(sighting.box.width / find.box.width)
    assert np.mean(ratios[5:]) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(("every", "share"), [(SETTLE, 0.5), (2 * SETTLE, 0.75), (1.0, 1.0)])
def test_the_size_of_a_face_wavers_less_than_that_of_its_finds_and_follows_as_fast_on_a_slow_board(every, share):
    larger = Box(HERE.x - 10, HERE.y - 10, HERE.width + 20, HERE.height + 20)
    script, image = Script((HERE, CONVINCING)), draw_faces(("happy", HERE))
    tracker = scripted(script)
    tracker.update(image, 0.0)
    script.people = [(larger, CONVINCING)]
    (seen,) = tracker.update(image, every)
    assert seen.box.width == round(HERE.width ** (1 - share) * larger.width**share)
    assert seen.box.x + seen.box.width / 2 == pytest.approx(HERE.x + HERE.width / 2, abs=1)


# --- another scene --------------------------------------------------------------------------------------------------


def elsewhere(image: np.ndarray) -> np.ndarray:
    """Return another room around HERE, where all is as it was."""
    other = np.ascontiguousarray(255 - image[:, ::-1])
    x, y, side = HERE.x, HERE.y, HERE.width
    other[y : y + side, x : x + side] = image[y : y + side, x : x + side]
    return other


def test_after_a_cut_everybody_is_somebody_else_and_all_are_there_at_once(tracker):
    image = draw_faces(("happy", HERE))
    assert ids(play(tracker, 1, lambda _: image)[-1][1]) == [1]
    assert ids(tracker.update(elsewhere(image), 1.0)) == [2]
    assert ids(tracker.update(image, 1.0 + 1 / FPS)) == [3]


@pytest.mark.parametrize("light", [40, -30])
def test_when_a_lamp_is_switched_everybody_stays_who_they_are(tracker, light):
    image = draw_faces(("happy", HERE))
    lit = np.clip(image.astype(int) + light, 0, 255).astype(np.uint8)
    play(tracker, 1, lambda _: image)
    assert [ids(seen) for _, seen in play(tracker, 1, lambda _: lit, 1.0)] == [[1]] * FPS


def test_a_source_that_starts_over_begins_anew(tracker):
    play(tracker, 1, still(("happy", HERE)), 60.0)
    assert [ids(seen) for _, seen in play(tracker, 1, still(("happy", HERE)), 0.0)] == [[2]] * FPS


def test_a_image_of_another_size_is_another_scene(tracker):
    play(tracker, 1, still(("happy", HERE)))
    smaller = draw_faces(("happy", Box(100, 60, 80, 80)), size=(320, 240))
    assert ids(tracker.update(smaller, 1.0)) == [2]


# --- images on their own ------------------------------------------------------------------------------------------


def test_images_on_their_own_have_nothing_to_do_with_one_another(tracker):
    image = draw_faces(("happy", HERE), ("neutral", THERE))
    assert [ids(tracker.still(image)) for _ in range(3)] == [[1, 2], [3, 4], [5, 6]]
    assert tracker.still(draw_faces()) == ()


def test_in_a_image_on_its_own_the_largest_face_comes_first(tracker):
    seen = tracker.still(draw_faces(("neutral", THERE), ("happy", Box(300, 60, 160, 160))))
    widths = [sighting.box.width for sighting in seen]
    assert len(widths) == 2
    assert widths == sorted(widths, reverse=True)


def test_a_image_on_its_own_has_no_second_look_so_a_weak_find_is_none():
    script = Script((HERE, STILL), (THERE, STILL - 1))
    assert [sighting.box for sighting in scripted(script).still(draw_faces())] == [HERE]
    assert set(script.windows) == {20 * DENSE}  # but it is searched with all care


def test_a_image_between_the_frames_of_a_video_ends_what_was_known(tracker):
    image = draw_faces(("happy", HERE))
    assert ids(tracker.update(image, 0.0)) == [1]
    assert ids(tracker.still(image)) == [2]
    assert ids(tracker.update(image, 0.1)) == [3]


# --- whatever comes -------------------------------------------------------------------------------------------------


def noise(rng, shape):
    """Return one of many kinds of rubbish."""
    kind = rng.integers(5)
    if kind == 0:
        return np.full(shape, rng.integers(256), np.uint8)
    gray = rng.integers(0, 256, shape).astype(np.uint8)
    if kind == 1:
        gray[:, : shape[1] // 2] = 90
    if kind == 2:
        gray = cv2.GaussianBlur(gray, (0, 0), 4).astype(np.uint8)
    return gray


def test_no_sequence_of_images_raises(detector):
    rng = np.random.default_rng(0)
    tracker, shape = Tracker(detector, 16), (60, 80)
    for number in range(400):
        if rng.random() < 0.1:
            shape = (int(rng.integers(1, 130)), int(rng.integers(1, 130)))
        gray = noise(rng, shape)
        seen = tracker.still(gray) if rng.random() < 0.05 else tracker.update(gray, number / FPS - rng.integers(2))
        for sighting in seen:
            cut(gray, sighting.box, 0.0)


class Rash:
    """Finds faces anywhere in the part that is searched, at random, as many as three."""

    def __init__(self, rng):
        self.rng = rng

    own = 20

    def find(self, gray, within, smallest, largest, _=WINDOW):
        x0, y0 = max(0, within.x), max(0, within.y)
        x1, y1 = min(gray.shape[1], within.x + within.width), min(gray.shape[0], within.y + within.height)
        found = []
        for _ in range(int(self.rng.integers(4))):
            side = max(1, int(self.rng.uniform(smallest, largest)))
            if side <= min(x1 - x0, y1 - y0):
                x, y = int(self.rng.integers(x0, x1 - side + 1)), int(self.rng.integers(y0, y1 - side + 1))
                found.append(Detection(Box(x, y, side, side), int(self.rng.integers(1, 20))))
        return found


def test_whatever_is_found_every_box_that_is_told_has_pixels_of_the_image():
    told = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        tracker, now = scripted(Rash(rng), 16), 0.0
        shape = (int(rng.integers(30, 300)), int(rng.integers(30, 300)))
        base = noise(rng, shape)
        for _ in range(60):
            dx, dy = (int(value) for value in rng.integers(-6, 7, 2))
            base = np.roll(base, (dy, dx), (0, 1)) if rng.random() < 0.97 else noise(rng, shape)
            now += float(rng.choice([0.01, 0.033, 0.2, 1.5]))
            seen = tracker.update(base, now)
            assert len(set(ids(seen))) == len(seen)
            for sighting in seen:
                assert cut(base, sighting.box, 0.0).shape == (sighting.box.width,) * 2
                told += 1
    assert told > 1000
