"""The tracker: faces are detected in time, keep their identity and are forgotten, by seconds and not by frames."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from edge.capture.synthetic import SyntheticScene
from edge.config.defaults import MIN_FACE_SIZE, SEARCH_WIDTH_PIXELS
from edge.detection.haar import CONFIRM_SCORE, TILT, WINDOW_PIXELS, HaarDetector
from edge.detection.tile_scheduler import FULL_SCAN_SECONDS_IDLE, FULL_SCAN_SECONDS_TRACKING, MAX_TILE_AGE_SECONDS
from edge.inference.preprocess import crop
from edge.tracking.tracker import (
    MAX_LOST_SECONDS,
    MAX_LOST_SECONDS_NEW,
    MIN_HITS,
    REDETECT_SECONDS,
    REDETECT_SECONDS_STEADY,
    REIDENTIFY_RADIUS,
    SIZE_HALF_LIFE_SECONDS,
    SIZE_HALF_LIFE_SECONDS_STEADY,
    TRACK_BUFFER_SECONDS,
    Tracker,
)
from edge.types import Box, Detection
from tests.support.fakes import FakeDetector
from tests.support.images import draw_faces

FPS = 30
RIGHT, LEFT = Box(250, 150, 110, 110), Box(60, 250, 100, 100)  # boxes of two faces
SPARSE, DENSE = FakeDetector.sparse_window, FakeDetector.dense_window


@pytest.fixture(scope="module")
def detector():
    return HaarDetector()


@pytest.fixture
def tracker(detector):
    return Tracker(detector)


def fake_tracker(detector) -> Tracker:
    """Return a Tracker with a fake detector."""
    return Tracker(detector, MIN_FACE_SIZE)


def ids(tracks) -> list[int]:
    return [track.track_id for track in tracks]


def moved(box: Box, dx: float, dy: float = 0) -> Box:
    return Box(round(box.x + dx), round(box.y + dy), box.width, box.height)


def play(tracker, seconds, image, start=0.0, fps=FPS):
    """Show what `image(seconds since start)` returns for so long; return (time, tracks) of each frame."""
    times = [start + number / fps for number in range(round(seconds * fps))]
    return [(now, tracker.update(image(now - start), now)) for now in times]


def static(*faces):
    image = draw_faces(*faces)
    return lambda _: image


def id_at(tracks, box: Box) -> int:
    """Return the id of the track at `box`; 0: there is none, -1: there are several."""
    there = [track.track_id for track in tracks if track.box.iou(box) > 0.4]
    return (there or [0])[0] if len(there) < 2 else -1


def first_time(played, box, track_id):
    return next(now for now, tracks in played if id_at(tracks, box) == track_id)


# --- appearing, staying, leaving ----------------------------------------------------------------------------------


def test_face_in_the_first_image_is_tracked_at_once(tracker):
    (first,) = tracker.update(draw_faces(("happy", RIGHT)), 0.0)
    assert first.track_id == 1
    assert first.box.iou(RIGHT) > 0.7


@pytest.mark.parametrize("fps", [5, 30])
@pytest.mark.parametrize("start", [0.0, 0.11, 0.24, 0.37])  # another tile is due first
def test_first_face_is_tracked_within_an_idle_scan(tracker, fps, start):
    play(tracker, 1 + start, static(), fps=fps)
    entered = 1 + start
    played = play(tracker, 2, static(("sad", RIGHT)), entered, fps)
    assert first_time(played, RIGHT, 1) - entered <= FULL_SCAN_SECONDS_IDLE + 1 / fps
    assert all(ids(tracks) in ([], [1]) for _, tracks in played)


@pytest.mark.parametrize("start", [0.0, 0.3, 0.6, 0.9])
def test_second_face_is_tracked_within_a_tracking_scan(tracker, start):
    play(tracker, 1 + start, static(("happy", RIGHT)))
    entered = 1 + start
    played = play(tracker, 3, static(("happy", RIGHT), ("neutral", LEFT)), entered)
    assert first_time(played, LEFT, 2) - entered <= FULL_SCAN_SECONDS_TRACKING + 1 / FPS
    assert all(ids(tracks) in ([1], [1, 2]) for _, tracks in played)  # the oldest track first


def test_walking_face_keeps_its_identity(tracker):
    def walking(seconds):
        return moved(Box(20, 200, 90, 90), 150 * seconds, 40 * np.sin(4 * seconds))

    for now, tracks in play(tracker, 3, lambda seconds: draw_faces(("happy", walking(seconds)))):
        assert id_at(tracks, walking(now)) == 1


def test_slow_face_keeps_its_identity_at_two_frames_per_second(tracker):
    for now, tracks in play(tracker, 6, lambda seconds: draw_faces(("happy", moved(RIGHT, 50 * seconds))), fps=2):
        assert id_at(tracks, moved(RIGHT, 50 * now)) == 1


def test_approaching_face_keeps_its_identity_and_grows(tracker):
    def approaching(seconds):
        side = round(60 + 60 * seconds)
        return Box(320 - side // 2, 240 - side // 2, side, side)

    for now, tracks in play(tracker, 3, lambda seconds: draw_faces(("neutral", approaching(seconds)))):
        assert id_at(tracks, approaching(now)) == 1


def test_face_that_leaves_is_gone_at_once(tracker):
    play(tracker, 1, static(("happy", RIGHT)))
    assert [ids(tracks) for _, tracks in play(tracker, 1, static(), 1.0)] == [[]] * FPS


@pytest.mark.parametrize(
    ("away", "expected"),
    [(TRACK_BUFFER_SECONDS - FULL_SCAN_SECONDS_IDLE - 0.1, 1), (TRACK_BUFFER_SECONDS + 0.1, 2)],
)
def test_face_that_returns_soon_keeps_its_identity(tracker, away, expected):
    play(tracker, 1, static(("happy", RIGHT)))
    play(tracker, away, static(), 1.0)
    back = play(tracker, FULL_SCAN_SECONDS_IDLE + 0.2, static(("happy", moved(RIGHT, 30))), 1 + away)
    assert ids(back[-1][1]) == [expected]


def test_face_that_appears_far_away_gets_a_new_identity():
    detector = FakeDetector((RIGHT, 9))
    tracker = fake_tracker(detector)
    far = moved(RIGHT, -RIGHT.width * (REIDENTIFY_RADIUS + 0.3))
    tracker.update(draw_faces(("happy", RIGHT)), 0.0)
    detector.faces = []
    tracker.update(draw_faces(), 0.1)
    detector.faces = [(far, 9)]
    assert ids(play(tracker, 1, static(("happy", far)), 0.2)[-1][1]) == [2]


def test_face_that_returns_gets_the_identity_lost_nearest():
    first, second = Box(100, 150, 100, 100), Box(185, 150, 100, 100)
    detector = FakeDetector((first, 9), (second, 9))
    tracker = fake_tracker(detector)
    assert ids(tracker.update(draw_faces(("happy", first), ("sad", second)), 0.0)) == [1, 2]
    detector.faces = []
    assert not tracker.update(draw_faces(), 0.1)
    for back, expected in ((moved(second, -20), [2]), (moved(first, 5), [2, 1])):
        detector.faces.append((back, 9))
        image = draw_faces(*(("sad", box) for box, _ in detector.faces))
        assert ids(play(tracker, 0.6, lambda _, shown=image: shown, len(expected) * 0.6)[-1][1]) == expected


def test_no_identity_is_used_twice(tracker):
    used = []
    for number in range(4):
        start = number * (TRACK_BUFFER_SECONDS + 2)
        used += ids(play(tracker, 1, static(("happy", RIGHT)), start)[-1][1])
        play(tracker, TRACK_BUFFER_SECONDS + 1, static(), start + 1)
    assert used == [1, 2, 3, 4]


def test_face_covered_for_a_moment_returns_within_an_idle_scan(tracker):
    # The image afterwards equals the one before: there is no motion, and yet the tiles there are searched.
    covered = draw_faces(("happy", RIGHT))
    cv2.rectangle(covered, (220, 120), (390, 290), 90, -1)
    play(tracker, 1, static(("happy", RIGHT)))
    assert all(not tracks for _, tracks in play(tracker, 0.1, lambda _: covered, 1.0))
    back = play(tracker, 1, static(("happy", RIGHT)), 1.1)
    assert next(now for now, tracks in back if ids(tracks) == [1]) <= 1.1 + FULL_SCAN_SECONDS_IDLE


# --- turning away -------------------------------------------------------------------------------------------------


@pytest.fixture
def turning():
    """A tracker, and its detector, which finds a face at RIGHT until its `faces` are removed."""
    detector = FakeDetector((RIGHT, CONFIRM_SCORE))
    return fake_tracker(detector), detector


def test_face_that_turns_away_is_tracked_for_a_limited_time(turning):
    tracker, detector = turning
    play(tracker, 1, static(("happy", RIGHT)))
    detector.faces = []
    played = play(tracker, 2 * MAX_LOST_SECONDS, static(("happy", RIGHT)), 1.0)
    times = [now for now, tracks in played if id_at(tracks, RIGHT) == 1]
    assert times[0] == 1
    assert MAX_LOST_SECONDS - REDETECT_SECONDS_STEADY - 2 / FPS <= times[-1] - 1 <= MAX_LOST_SECONDS
    assert len(times) == pytest.approx((times[-1] - 1) * FPS + 1)  # without a gap


def test_face_found_once_is_forgotten_sooner():
    detector = FakeDetector((RIGHT, CONFIRM_SCORE))
    tracker, image = fake_tracker(detector), static(("happy", RIGHT))
    tracker.update(image(0), 0.0)
    detector.faces = []
    times = [now for now, tracks in play(tracker, 1, image, 1 / FPS) if tracks]
    assert MAX_LOST_SECONDS_NEW - 2 / FPS <= times[-1] <= MAX_LOST_SECONDS_NEW


def test_face_that_turns_away_and_moves_is_tracked(turning):
    tracker, detector = turning
    play(tracker, 1, static(("happy", RIGHT)))
    detector.faces = []
    moving = lambda seconds: draw_faces(("happy", moved(RIGHT, -120 * seconds)))  # noqa: E731
    for now, tracks in play(tracker, MAX_LOST_SECONDS - REDETECT_SECONDS_STEADY - 0.1, moving, 1.0):
        assert id_at(tracks, moved(RIGHT, -120 * (now - 1))) == 1


def test_face_that_turns_back_in_time_keeps_its_identity(turning):
    tracker, detector = turning
    play(tracker, 1, static(("happy", RIGHT)))
    away = MAX_LOST_SECONDS - REDETECT_SECONDS_STEADY - 0.1
    for number in range(3):
        detector.faces = []
        play(tracker, away, static(("happy", RIGHT)), 1.0 + number)
        detector.faces = [(RIGHT, CONFIRM_SCORE)]
        back = play(tracker, 1 - away, static(("happy", RIGHT)), 1 + number + away)
        assert all(ids(tracks) == [1] for _, tracks in back)


# --- tilting, and turning to one side -----------------------------------------------------------------------------


@pytest.mark.parametrize("degrees", [-30, -20, 20, 30])
def test_tilted_head_is_tracked_within_two_idle_scans(tracker, degrees):
    play(tracker, 1, static())
    played = play(tracker, 2, static(("happy", RIGHT, degrees)), 1.0)
    assert first_time(played, RIGHT, 1) - 1 <= 2 * FULL_SCAN_SECONDS_IDLE + 1 / FPS
    (track,) = played[-1][1]
    assert track.roll == np.sign(degrees) * TILT


@pytest.mark.parametrize("side", [-1, 1])
def test_head_that_tilts_and_back_keeps_its_identity(tracker, side):
    def tilting(seconds):
        return draw_faces(("happy", RIGHT, side * 30 * np.sin(np.pi * seconds / 3)))

    played = play(tracker, 3, tilting)
    assert all(id_at(tracks, RIGHT) == 1 for _, tracks in played)
    rolls = [tracks[0].roll for _, tracks in played]
    assert rolls[len(rolls) // 2] == side * TILT
    assert rolls[0] == rolls[-1] == 0


def test_head_in_profile_is_followed_and_not_frontal():
    detector = FakeDetector((RIGHT, CONFIRM_SCORE))
    tracker, image = fake_tracker(detector), static(("happy", RIGHT))
    assert all(tracks[0].is_frontal for _, tracks in play(tracker, 1, image))
    detector.faces, detector.profiles = [], [moved(RIGHT, 5)]
    away = play(tracker, 3 * MAX_LOST_SECONDS, image, 1.0)
    assert [ids(tracks) for _, tracks in away] == [[1]] * len(away)
    assert not any(tracks[0].is_frontal for now, tracks in away if now > 1 + REDETECT_SECONDS_STEADY)
    detector.faces, detector.profiles = [(RIGHT, CONFIRM_SCORE)], []
    back = play(tracker, 1, image, 1 + 3 * MAX_LOST_SECONDS)
    assert all(tracks[0].is_frontal and ids(tracks) == [1] for _, tracks in back[4:])


def test_head_in_profile_starts_no_track():
    detector = FakeDetector()
    detector.profiles = [RIGHT]
    assert all(not tracks for _, tracks in play(fake_tracker(detector), 2, static(("happy", RIGHT))))


class TurnedDetector(FakeDetector):
    """Detects its faces in searches for heads that are tilted by TILT only."""

    rolls = (TILT, -TILT)

    def detect(self, gray, area=None, min_size=0.0, max_size=None, window=WINDOW_PIXELS, roll=0.0):
        found = super().detect(gray, area, min_size, max_size, window) if roll == TILT else []
        return [replace(each, roll=roll) for each in found]


@pytest.mark.parametrize(("score", "expected"), [(CONFIRM_SCORE - 1, []), (CONFIRM_SCORE, [1])])
def test_weak_detection_of_a_tilted_head_starts_no_track(score, expected):
    tracker = fake_tracker(TurnedDetector((RIGHT, score)))
    played = play(tracker, 1, static(("happy", RIGHT)))
    assert ids(played[-1][1]) == expected
    assert tracker.candidates == ()


# --- at the border ------------------------------------------------------------------------------------------------

CUT = [Box(-22, 150, 110, 110), Box(552, 150, 110, 110), Box(250, 392, 110, 110)]  # a fifth of it is outside


@pytest.mark.parametrize("box", CUT)
def test_face_cut_by_the_border_is_tracked_within_a_second(tracker, box):
    play(tracker, 1, static())
    played = play(tracker, 1, static(("happy", box)), 1.0)
    assert first_time(played, box, 1) - 1 <= 1


def test_face_that_goes_half_out_and_returns_keeps_its_identity(tracker):
    def at_border(seconds):
        return Box(round(-55 * np.sin(np.pi * min(1, seconds / 4))) + 5, 150, 110, 110)

    played = play(tracker, 4, lambda seconds: draw_faces(("happy", at_border(seconds))))
    assert all(id_at(tracks, at_border(now)) == 1 for now, tracks in played)


@pytest.mark.parametrize(("border", "tilt"), [(0.3, 0.0), (0.0, 30.0)])
def test_synthetic_face_cut_or_tilted_is_found_and_right(tracker, classifier, border, tilt):
    scene, found, right = SyntheticScene(tilt=tilt, border=border), [], []
    for number, (now, tracks) in enumerate(play(tracker, 21, scene.image)):
        (face,) = scene.faces(now)
        there = [track for track in tracks if track.box.iou(face.box) > 0.35]
        found.append(there[0].track_id if there else 0)
        if there and number % 10 == 0:
            crop = classifier.prepare(scene.image(now), there[0].box, roll=there[0].roll)
            right.append(classifier.card.labels[classifier.classify(crop).argmax()] == face.emotion)
    assert np.mean([track_id > 0 for track_id in found]) > 0.9
    assert np.mean(right) > 0.8
    assert max(found) <= 2


# --- several faces ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "speed"), [(("angry", "happy"), 100), (("disgust", "surprise"), 250), (("neutral", "sad"), 400)]
)
def test_two_faces_that_pass_keep_their_identities(tracker, labels, speed):
    first, second = Box(20, 130, 110, 110), Box(500, 215, 110, 110)

    def scene(now):
        return draw_faces((labels[0], moved(first, speed * now)), (labels[1], moved(second, -speed * now)))

    pairs = [
        [id_at(tracks, moved(first, speed * now)), id_at(tracks, moved(second, -speed * now))]
        for now, tracks in play(tracker, 480 / speed, scene)
    ]
    assert sorted(pairs[0]) == [1, 2]
    assert all(pair == pairs[0] for pair in pairs)


@pytest.mark.parametrize("offset", [0, 40])
@pytest.mark.parametrize("front", [0, 1])
@pytest.mark.parametrize("labels", [("angry", "happy"), ("disgust", "surprise")])
def test_hidden_face_never_gets_the_identity_of_the_other(tracker, labels, front, offset):
    first, second = Box(20, 150, 110, 110), Box(500, 150 + offset, 110, 110)

    def scene(now):
        faces = [(labels[0], moved(first, 200 * now)), (labels[1], moved(second, -200 * now))]
        return draw_faces(*faces[:: 1 if front else -1])

    pairs = [
        (id_at(tracks, moved(first, 200 * now)), id_at(tracks, moved(second, -200 * now)))
        for now, tracks in play(tracker, 2.4, scene)
    ]
    assert sorted(pairs[2]) == [1, 2]
    assert all(pairs[-1])
    assert pairs[-1][0] != pairs[2][1]
    assert pairs[-1][1] != pairs[2][0]
    assert pairs[-1][front] == pairs[2][front]  # the face in front was never hidden


def test_every_face_of_the_synthetic_camera_has_one_track(tracker):
    scene, entered, found = SyntheticScene(face_count=3), dict.fromkeys(range(3), -FULL_SCAN_SECONDS_TRACKING), []
    for now, tracks in play(tracker, 10, scene.image):
        assert len(set(ids(tracks))) == len(tracks)
        for number, face in enumerate(scene.faces(now)):
            if not face.visible:
                entered[number] = now
            elif now - entered[number] > FULL_SCAN_SECONDS_TRACKING + 1 / FPS:
                found.append(id_at(tracks, face.box) > 0)
    assert len(found) > 600
    assert sum(found) >= 0.99 * len(found)


@pytest.mark.parametrize(("speed", "offset"), [(200, 10), (120, 25), (320, 25)])
def test_two_similar_faces_never_share_one_place(tracker, speed, offset):
    first, second = Box(20, 150, 110, 110), Box(500, 150 + offset, 110, 110)

    def scene(now):
        return draw_faces(("happy", moved(first, speed * now)), ("happy", moved(second, -speed * now)))

    played = [tracks for _, tracks in play(tracker, 480 / speed, scene)]
    assert not any(len(tracks) == 2 and tracks[0].box.iou(tracks[1].box) > 0.4 for tracks in played)
    assert len(played[0]) == len(played[-1]) == 2


def test_two_weak_detections_of_one_face_become_one_track():
    left, middle, right = (Box(x, 100, 50, 50) for x in (100, 113, 127))
    detector = FakeDetector((left, 2), (right, 2))
    tracker = fake_tracker(detector)
    tracker.update(draw_faces(), 0.0)
    detector.faces = [(middle, CONFIRM_SCORE)]
    for number in range(1, 20):
        tracks = tracker.update(draw_faces(), number / FPS)
    assert len(tracks) == 1
    assert tracks[0].box.iou(middle) > 0.9


# --- confirmation -------------------------------------------------------------------------------------------------


def test_high_score_confirms_at_once_and_a_low_one_by_hits():
    detector = FakeDetector((RIGHT, CONFIRM_SCORE), (LEFT, CONFIRM_SCORE - 1))
    played = play(fake_tracker(detector), 1, static(("happy", RIGHT), ("sad", LEFT)))
    assert ids(played[0][1]) == [1]
    confirmed = next(now for now, tracks in played if len(tracks) == 2)
    assert confirmed == pytest.approx((MIN_HITS - 1) * REDETECT_SECONDS, abs=2 / FPS)
    assert ids(played[-1][1]) == [1, 2]


def test_single_weak_detection_never_becomes_a_track():
    detector = FakeDetector((RIGHT, CONFIRM_SCORE - 1))
    tracker = fake_tracker(detector)
    assert tracker.update(draw_faces(("happy", RIGHT)), 0.0) == ()
    detector.faces = []
    assert all(not tracks for _, tracks in play(tracker, 1, static(("happy", RIGHT)), 0.1))
    detector.faces = [(RIGHT, CONFIRM_SCORE - 1)]  # the hits before count no longer
    assert tracker.update(draw_faces(("happy", RIGHT)), 1.2 + MAX_TILE_AGE_SECONDS) == ()


def test_intermittent_weak_detection_never_becomes_a_track():
    detector = FakeDetector()
    tracker = fake_tracker(detector)
    for number in range(12 * FPS):
        detector.faces = [(RIGHT, CONFIRM_SCORE - 1)] if number % 12 < 3 else []  # a tenth of a second in each 0.4 s
        assert tracker.update(changing_around_face(number), number / FPS) == ()


def changing_around_face(number):
    """Return an image that changes everywhere, so that each tile is searched, but at a face."""
    cells = np.random.default_rng(number).integers(0, 2, (30, 40))
    image = np.kron(100 + 20 * cells, np.ones((16, 16))).astype(np.uint8)
    face = np.s_[RIGHT.y : RIGHT.y + RIGHT.height, RIGHT.x : RIGHT.x + RIGHT.width]
    image[face] = draw_faces(("happy", RIGHT))[face]
    return image


def test_detection_near_a_track_starts_no_other_track():
    detector, image = FakeDetector((RIGHT, CONFIRM_SCORE)), static(("happy", RIGHT))
    tracker = fake_tracker(detector)
    tracker.update(image(0), 0.0)
    detector.faces.append((moved(RIGHT, -50, -50), CONFIRM_SCORE))  # where nothing moved: no tile is searched there
    assert [ids(tracks) for _, tracks in play(tracker, 1, image, 1 / FPS)] == [[1]] * FPS


def test_room_without_a_face_has_no_tracks(tracker):
    assert all(not tracks for _, tracks in play(tracker, MAX_TILE_AGE_SECONDS + 1, static()))


@pytest.mark.parametrize("width", [320, SEARCH_WIDTH_PIXELS, 2 * SEARCH_WIDTH_PIXELS])
def test_smallest_face_is_larger_in_a_wider_image(detector, width):
    side = round(1.3 * MIN_FACE_SIZE * max(1, width / SEARCH_WIDTH_PIXELS))
    image = draw_faces(("neutral", Box(width // 3, width // 3, side, side)), size=(width, width * 3 // 4))
    for min_face_size, count in ((MIN_FACE_SIZE, 1), (2 * MIN_FACE_SIZE, 0)):
        assert len(play(Tracker(detector, min_face_size), 1, lambda _: image)[-1][1]) == count


# --- cost ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fps", [10, 30, 90])
@pytest.mark.parametrize(
    ("swing", "interval"), [(0, REDETECT_SECONDS_STEADY), (15, REDETECT_SECONDS)], ids=["static", "tilting"]
)
def test_face_is_detected_again_at_an_interval(fps, swing, interval):
    detector = FakeDetector((RIGHT, CONFIRM_SCORE))
    tracker = fake_tracker(detector)
    images = [draw_faces(("happy", RIGHT, swing * (number - 1))) for number in range(3)]
    tracker.update(images[0], 0.0)
    detector.windows.clear()
    seconds = MAX_TILE_AGE_SECONDS - 1
    play(tracker, seconds, lambda now: images[int(20 * now) % 3], 1 / fps, fps)
    assert detector.windows.count(SPARSE) == pytest.approx(seconds / interval, rel=0.4)


@pytest.mark.parametrize(("hits", "turned"), [(1, False), (MIN_HITS - 1, False), (MIN_HITS, True)])
def test_other_rolls_are_searched_after_some_detections(hits, turned):
    class Tilting(FakeDetector):
        rolls = (TILT, -TILT)

        def detect(self, gray, area=None, min_size=0.0, max_size=None, window=WINDOW_PIXELS, roll=0.0):
            searched.add((window, roll))
            return super().detect(gray, area, min_size, max_size, window, roll)

    searched: set[tuple[float, float]] = set()
    detector, image = Tilting((RIGHT, CONFIRM_SCORE)), draw_faces(("happy", RIGHT))
    tracker = fake_tracker(detector)
    for number in range(hits):
        tracker.update(image, 10 + 2 * number * REDETECT_SECONDS)
    assert (SPARSE, TILT) not in searched
    detector.faces.clear()
    for number in range(hits, hits + 5):
        tracker.update(image, 10 + 2 * number * REDETECT_SECONDS)
    assert ((SPARSE, TILT) in searched) == turned


@pytest.mark.parametrize(
    ("score", "hits", "windows"),
    [
        (CONFIRM_SCORE, 1, [SPARSE, DENSE]),
        (CONFIRM_SCORE - 1, MIN_HITS - 2, [SPARSE]),
        (1, MIN_HITS - 1, [SPARSE, DENSE]),
    ],
)
def test_dense_search_is_only_for_a_lost_face_nearly_confirmed(score, hits, windows):
    detector, image = FakeDetector((RIGHT, score)), draw_faces(("happy", RIGHT))
    tracker = fake_tracker(detector)
    for number in range(hits):
        tracker.update(image, number * REDETECT_SECONDS)
    assert {*detector.windows} <= {WINDOW_PIXELS, SPARSE}
    detector.windows.clear()
    detector.faces.clear()
    tracker.update(image, hits * REDETECT_SECONDS)
    assert [window for window in detector.windows if window != WINDOW_PIXELS] == windows


# --- boxes --------------------------------------------------------------------------------------------------------


def test_boxes_of_a_track_have_the_size_of_a_full_detection(tracker, detector):
    rng, ratios = np.random.default_rng(0), []
    for number in range(2 * FPS):
        side = round(130 + 10 * number / FPS)
        noisy = draw_faces(("happy", Box(200, 120, side, side))) + rng.normal(0, 4, (480, 640))
        image = np.clip(noisy, 0, 255).astype(np.uint8)
        (track,), (detection,) = tracker.update(image, number / FPS), detector.detect(image)
        ratios.append(track.box.width / detection.box.width)
    assert np.mean(ratios[5:]) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(
    ("seconds", "weight"), [(SIZE_HALF_LIFE_SECONDS, 0.5), (2 * SIZE_HALF_LIFE_SECONDS, 0.75), (1.0, 1.0)]
)
def test_size_is_averaged_over_time_independently_of_the_fps(seconds, weight):
    larger = Box(RIGHT.x - 10, RIGHT.y - 10, RIGHT.width + 20, RIGHT.height + 20)
    detector, image = FakeDetector((RIGHT, CONFIRM_SCORE)), draw_faces(("happy", RIGHT))
    tracker = fake_tracker(detector)
    tracker.update(image, 0.0)
    detector.faces = [(larger, CONFIRM_SCORE)]
    (track,) = tracker.update(image, seconds)
    assert track.box.width == round(RIGHT.width ** (1 - weight) * larger.width**weight)
    assert track.box.x + track.box.width / 2 == pytest.approx(RIGHT.x + RIGHT.width / 2, abs=1)


def test_size_of_a_steady_face_is_averaged_over_a_longer_time():
    larger = Box(RIGHT.x - 10, RIGHT.y - 10, RIGHT.width + 20, RIGHT.height + 20)
    detector, image = FakeDetector((RIGHT, CONFIRM_SCORE)), static(("happy", RIGHT))
    tracker = fake_tracker(detector)
    play(tracker, 1, image)
    detector.faces = [(larger, CONFIRM_SCORE)]
    widths = [tracks[0].box.width for _, tracks in play(tracker, 2 * REDETECT_SECONDS_STEADY, image, 1.0)]
    weight = 0.5 ** (REDETECT_SECONDS_STEADY / SIZE_HALF_LIFE_SECONDS_STEADY)
    expected = RIGHT.width**weight * larger.width ** (1 - weight)
    assert next(width for width in widths if width != RIGHT.width) == pytest.approx(expected, abs=2)


# --- another scene ------------------------------------------------------------------------------------------------


def another_room(image: np.ndarray) -> np.ndarray:
    """Return another scene, in which only the face at RIGHT is the same."""
    other = np.ascontiguousarray(255 - image[:, ::-1])
    face = np.s_[RIGHT.y : RIGHT.y + RIGHT.height, RIGHT.x : RIGHT.x + RIGHT.width]
    other[face] = image[face]
    return other


def test_scene_cut_gives_new_identities_at_once(tracker):
    image = draw_faces(("happy", RIGHT))
    assert ids(play(tracker, 1, lambda _: image)[-1][1]) == [1]
    assert ids(tracker.update(another_room(image), 1.0)) == [2]
    assert ids(tracker.update(image, 1.0 + 1 / FPS)) == [3]


@pytest.mark.parametrize("light", [40, -30])
def test_light_that_is_switched_keeps_the_identity(tracker, light):
    image = draw_faces(("happy", RIGHT))
    lit = np.clip(image.astype(int) + light, 0, 255).astype(np.uint8)
    play(tracker, 1, lambda _: image)
    assert [ids(tracks) for _, tracks in play(tracker, 1, lambda _: lit, 1.0)] == [[1]] * FPS


def test_source_that_restarts_gives_new_identities(tracker):
    play(tracker, 1, static(("happy", RIGHT)), 60.0)
    assert [ids(tracks) for _, tracks in play(tracker, 1, static(("happy", RIGHT)), 0.0)] == [[2]] * FPS


def test_image_of_another_size_gives_new_identities(tracker):
    play(tracker, 1, static(("happy", RIGHT)))
    smaller = draw_faces(("happy", Box(100, 60, 80, 80)), size=(320, 240))
    assert ids(tracker.update(smaller, 1.0)) == [2]


# --- random input -------------------------------------------------------------------------------------------------


def random_image(rng, shape):
    """Return one of several kinds of noise."""
    kind = rng.integers(5)
    if kind == 0:
        return np.full(shape, rng.integers(256), np.uint8)
    gray = rng.integers(0, 256, shape).astype(np.uint8)
    if kind == 1:
        gray[:, : shape[1] // 2] = 90
    if kind == 2:
        gray = cv2.GaussianBlur(gray, (0, 0), 4).astype(np.uint8)
    return gray


def test_random_images_raise_nothing_and_boxes_can_be_cropped(detector):
    rng = np.random.default_rng(0)
    tracker, shape = Tracker(detector, 16), (60, 80)
    for number in range(400):
        if rng.random() < 0.1:
            shape = (int(rng.integers(1, 130)), int(rng.integers(1, 130)))
        gray = random_image(rng, shape)
        for track in tracker.update(gray, number / FPS - rng.integers(2)):
            crop(gray, track.box, 0.0)


class RandomDetector(FakeDetector):
    """Detects up to three faces at random places of the area."""

    def __init__(self, rng):
        super().__init__()
        self.rng = rng

    def detect(self, gray, area=None, min_size=0.0, max_size=None, window=WINDOW_PIXELS, roll=0.0):  # noqa: ARG002
        assert area is not None
        x0, y0 = max(0, area.x), max(0, area.y)
        x1, y1 = min(gray.shape[1], area.x + area.width), min(gray.shape[0], area.y + area.height)
        found = []
        for _ in range(int(self.rng.integers(4))):
            side = max(1, int(self.rng.uniform(min_size, max_size)))
            if side <= min(x1 - x0, y1 - y0):
                x, y = int(self.rng.integers(x0, x1 - side + 1)), int(self.rng.integers(y0, y1 - side + 1))
                found.append(Detection(Box(x, y, side, side), int(self.rng.integers(1, 20))))
        return found


def test_random_detections_give_boxes_with_pixels_of_the_image():
    count = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        tracker, now = Tracker(RandomDetector(rng), 16), 0.0
        shape = (int(rng.integers(30, 300)), int(rng.integers(30, 300)))
        base = random_image(rng, shape)
        for _ in range(60):
            dx, dy = (int(value) for value in rng.integers(-6, 7, 2))
            base = np.roll(base, (dy, dx), (0, 1)) if rng.random() < 0.97 else random_image(rng, shape)
            now += float(rng.choice([0.01, 0.033, 0.2, 1.5]))
            tracks = tracker.update(base, now)
            assert len(set(ids(tracks))) == len(tracks)
            for track in tracks:
                assert crop(base, track.box, 0.0).shape == (track.box.width,) * 2
                count += 1
    assert count > 1000
