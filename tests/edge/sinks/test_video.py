"""The annotated video plays at the source's speed and is whole or not there; images are numbered."""

import resource
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from edge.errors import EmotionEdgeError, SinkError, UsageError
from edge.sinks import video
from edge.sinks.annotate import annotate
from edge.sinks.video import Sink
from edge.types import Box, RunInfo
from tests.support.fakes import face_result, frame_result


def record(path, observations, live=False) -> None:
    with Sink(str(path), RunInfo(live)) as sink:
        for observation in observations:
            sink.write(observation)


def levels(path) -> list[int]:
    """Return how bright each frame of the video at `path` is in its middle, rounded to 20."""
    capture, found = cv2.VideoCapture(str(path)), []
    while (taken := capture.read())[0]:
        height, width = taken[1].shape[:2]
        found.append(
            round(float(taken[1][height // 2 - 4 : height // 2 + 4, width // 2 - 4 : width // 2 + 4].mean()) / 20) * 20
        )
    capture.release()
    return found


def fps(path) -> float:
    capture = cv2.VideoCapture(str(path))
    rate = capture.get(cv2.CAP_PROP_FPS)
    capture.release()
    return rate


def steps(*indices: int, rate: float = 10, **about):
    """Return an observation for each of `indices`, 20 brighter from one index to the next."""
    return [frame_result(time=index / rate, index=index, level=20 * index, **about) for index in indices]


@pytest.mark.parametrize("name", ["out.mp4", "out.avi", "out.webm", "new/folder/OUT.MP4"])
@pytest.mark.parametrize("rate", [5, 30])
def test_a_video_has_every_frame_at_the_sources_speed(tmp_path, name, rate):
    record(tmp_path / name, steps(*range(8), rate=rate))
    assert levels(tmp_path / name) == [0, 20, 40, 60, 80, 100, 120, 140]
    assert fps(tmp_path / name) == pytest.approx(rate, rel=0.01)


@pytest.mark.parametrize(
    ("indices", "shown"),
    [
        ((0, 1, 2, 6, 7), [0, 20, 40, 40, 40, 40, 120, 140]),
        ((0, 3, 4), [0, 0, 0, 60, 80]),
        ((2, 3, 5), [40, 60, 60, 100]),
    ],
)
def test_what_was_skipped_is_shown_as_a_standing_image(tmp_path, indices, shown):
    record(tmp_path / "out.avi", steps(*indices))
    assert levels(tmp_path / "out.avi") == shown
    assert fps(tmp_path / "out.avi") == pytest.approx(10)


def test_the_uneven_start_of_a_live_camera_does_not_set_the_speed(tmp_path):
    times = [0.0, 0.5, *(0.5 + step / 20 for step in range(1, 15))]
    record(tmp_path / "out.avi", [frame_result(time=time, index=index) for index, time in enumerate(times)])
    assert fps(tmp_path / "out.avi") == pytest.approx(20)
    assert len(levels(tmp_path / "out.avi")) == round(times[-1] * 20) + 1


def test_a_source_faster_than_a_video_can_be_is_thinned_out(tmp_path):
    record(tmp_path / "out.avi", [frame_result(time=index / 240, index=index) for index in range(241)])
    assert fps(tmp_path / "out.avi") == 60
    assert len(levels(tmp_path / "out.avi")) == 61


def test_a_single_frame_is_a_video_of_one_frame(tmp_path):
    record(tmp_path / "out.mp4", steps(5))
    assert levels(tmp_path / "out.mp4") == [100]


def test_without_a_frame_there_is_no_video(tmp_path):
    record(tmp_path / "out.mp4", [])
    assert list(tmp_path.iterdir()) == []


def test_a_image_of_another_size_is_fitted_in_with_its_shape_kept(tmp_path):
    record(
        tmp_path / "out.avi",
        [
            frame_result(time=0.0, index=0, level=200, size=(320, 240)),
            frame_result(time=0.1, index=1, level=200, size=(100, 200)),
            frame_result(time=0.2, index=2, level=200, size=(1280, 240)),
        ],
    )
    capture = cv2.VideoCapture(str(tmp_path / "out.avi"))
    images = [capture.read()[1] for _ in range(3)]
    capture.release()
    assert {image.shape for image in images} == {(240, 320, 3)}
    bright = [image[..., 0] > 100 for image in images]
    assert [int(rows.any(axis=0).sum()) for rows in bright] == pytest.approx([320, 120, 320], abs=4)
    assert [int(rows.any(axis=1).sum()) for rows in bright] == pytest.approx([240, 240, 60], abs=4)
    assert bright[1][:, 120:200].all()


def test_the_recording_shows_what_was_read(tmp_path):
    box = Box(40, 40, 60, 60)
    record(
        tmp_path / "out.avi",
        [frame_result(face_result(box=box), time=number / 10, index=number, size=(320, 240)) for number in (0, 1)],
    )
    capture = cv2.VideoCapture(str(tmp_path / "out.avi"))
    image = capture.read()[1].astype(int)
    capture.release()
    assert (image[100, 50:90, 1] > image[100, 50:90, 0] + 30).all()  # the box's lower edge is green


def test_the_old_video_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "out.mp4"
    path.write_text("old")
    with Sink(str(path)) as sink:
        for observation in steps(0, 1, 2):
            sink.write(observation)
        assert path.read_text() == "old"
    assert levels(path) == [0, 20, 40]
    assert list(tmp_path.iterdir()) == [path]


def test_a_run_that_ends_with_an_error_keeps_what_it_recorded(tmp_path):
    with pytest.raises(KeyError), Sink(str(tmp_path / "out.mp4")) as sink:  # noqa: PT012 (the error comes in between)
        for observation in steps(0, 1, 2):
            sink.write(observation)
        raise KeyError
    assert levels(tmp_path / "out.mp4") == [0, 20, 40]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Have no file of this process grow beyond `size` bytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("kind", ["mp4", "avi", "webm"])
def test_a_full_disk_is_an_error_and_leaves_no_broken_video(tmp_path, kind, live):
    noise = np.random.default_rng(0).integers(0, 256, (8, 240, 320), np.uint8)
    observations = steps(*range(8), size=(320, 240))
    for observation, gray in zip(observations, noise, strict=True):
        object.__setattr__(observation.frame, "color", lambda gray=gray: np.repeat(gray[..., np.newaxis], 3, axis=2))
    broken = pytest.raises(SinkError, match=rf"out\.{kind}: could not be written to its end; is the disk full")
    with largest_file(20_000), broken:
        record(tmp_path / f"out.{kind}", observations, live)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("live", [False, True])
def test_a_disk_that_is_nearly_full_ends_the_recording_which_is_whole_up_to_there(tmp_path, monkeypatch, live):
    free = iter([video.ROOM] * 12)
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: SimpleNamespace(free=next(free, video.ROOM - 1), total=10 * video.ROOM)
    )
    with pytest.raises(SinkError, match=r"less than 32 MB left on the disk; what was recorded before is kept"):
        record(tmp_path / "out.avi", steps(*range(13)), live)
    assert len(levels(tmp_path / "out.avi")) == 12


@pytest.mark.parametrize("name", ["out.avi", "out.png"])
def test_on_a_disk_that_is_full_from_the_start_nothing_is_recorded_and_said(tmp_path, monkeypatch, name):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0, total=10 * video.ROOM))
    with pytest.raises(SinkError, match=r"less than 32 MB left on the disk; nothing was recorded"):
        record(tmp_path / name, steps(0))
    assert list(tmp_path.iterdir()) == []


def test_a_image_in_hand_is_finished_before_the_video_is_closed(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "GRACE", 0.0)
    begun, never = threading.Event(), threading.Event()

    def annotated(observation):
        begun.set()
        never.wait(0.2)  # the end comes meanwhile
        return annotate(observation)

    monkeypatch.setattr(video, "annotate", annotated)
    with Sink(str(tmp_path / "out.avi"), RunInfo(live=True)) as sink:
        sink.write(*steps(5))
        assert begun.wait(10)
    assert levels(tmp_path / "out.avi") == [100]


def test_at_the_end_no_time_is_spent_on_standing_images(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "GRACE", 0.0)
    taken, go = threading.Event(), threading.Event()

    def annotated(observation):
        if observation.frame.index == 8:
            taken.set()
            go.wait()
        return annotate(observation)

    monkeypatch.setattr(video, "annotate", annotated)
    with Sink(str(tmp_path / "out.avi"), RunInfo(live=True)) as sink:
        for observation in [*steps(*range(8)), frame_result(time=1000.0, index=8, level=160)]:
            sink.write(observation)
        assert taken.wait(10)
        threading.Timer(0.1, go.set).start()
    assert levels(tmp_path / "out.avi") == [0, 20, 40, 60, 80, 100, 120, 140, 160]


def test_a_disk_that_does_not_answer_is_an_error_and_the_writer_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "GRACE", 0.0)
    monkeypatch.setattr(video, "IN_HAND", 0.0)
    begun, answers = threading.Event(), threading.Event()

    def annotated(observation):
        begun.set()
        answers.wait()
        return annotate(observation)

    monkeypatch.setattr(video, "annotate", annotated)
    sink = Sink(str(tmp_path / "out.avi"), RunInfo(live=True)).__enter__()
    sink.write(frame_result())
    assert begun.wait(10)
    with pytest.raises(SinkError, match="not finished, as the disk takes more than 0 s for an image"):
        sink.__exit__(None, None, None)
    answers.set()


@pytest.mark.parametrize("name", ["face.png", "face.jpg", "new/face.webp"])
def test_images_are_numbered_from_the_second(tmp_path, name):
    path = tmp_path / name
    record(path, steps(0, 3, 5))
    names = [path.name, f"face-2{path.suffix}", f"face-3{path.suffix}"]
    assert sorted(file.name for file in path.parent.iterdir()) == sorted(names)
    found = [cv2.imread(str(path.with_name(each))) for each in names]
    assert [round(image.mean()) for image in found if image is not None] == pytest.approx([0, 60, 100], abs=2)


@pytest.mark.parametrize("name", ["out.mkv", "out", "", ".mp4", "folder/"])
def test_an_ending_that_cannot_be_written_is_refused_with_those_that_can(name):
    with pytest.raises(UsageError, match=r"name a file that ends in one of \.mp4, \.avi, \.webm, \.png"):
        Sink(name)


@pytest.mark.parametrize("name", ["out.mp4", "out.png"])
def test_a_place_that_cannot_be_written_is_an_error_that_names_it(tmp_path, name):
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / name, f"/proc/{name}"):
        with pytest.raises(EmotionEdgeError, match=rf"{place}: cannot be (opened|written)"):
            record(place, steps(0, 1))
