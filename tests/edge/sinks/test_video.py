"""The annotated video plays at the source's speed and is complete or absent; image files are numbered."""

import re
import resource
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from edge.errors import EmotionEdgeError, SinkError, UsageError
from edge.sinks import video
from edge.sinks.annotate import annotate
from edge.sinks.video import MIN_FREE_DISK_BYTES, Sink
from edge.types import Box, RunInfo
from tests.support.fakes import face_result, frame_result

TIMEOUT_SECONDS = 30.0  # only a failing test waits as long


def record(path, results, live=False) -> None:
    with Sink(str(path), RunInfo(live)) as sink:
        for result in results:
            sink.write(result)


def read_images(path):
    """Return all images of the video at `path`."""
    capture, images = cv2.VideoCapture(str(path)), []
    while (read := capture.read())[0]:
        images.append(read[1])
    capture.release()
    return images


def gray_levels(path) -> list[int]:
    """Return the gray level in the middle of each image of the video at `path`, rounded to 20."""
    levels = []
    for image in read_images(path):
        y, x = image.shape[0] // 2, image.shape[1] // 2
        levels.append(round(float(image[y - 4 : y + 4, x - 4 : x + 4].mean()) / 20) * 20)
    return levels


def frame_rate(path) -> float:
    capture = cv2.VideoCapture(str(path))
    rate = capture.get(cv2.CAP_PROP_FPS)
    capture.release()
    return rate


def make_results(*indices: int, rate: float = 10, **of_frame):
    """Return a result for each index of a source with `rate` frames a second; its gray level is 20 times the index."""
    return [frame_result(time=index / rate, index=index, level=20 * index, **of_frame) for index in indices]


@pytest.mark.parametrize("name", ["out.mp4", "out.avi", "out.webm", "new/folder/OUT.MP4"])
@pytest.mark.parametrize("rate", [5, 30])
def test_a_video_has_every_frame_at_the_source_s_speed(tmp_path, name, rate):
    record(tmp_path / name, make_results(*range(8), rate=rate))
    assert gray_levels(tmp_path / name) == [0, 20, 40, 60, 80, 100, 120, 140]
    assert frame_rate(tmp_path / name) == pytest.approx(rate, rel=0.01)


@pytest.mark.parametrize(
    ("indices", "levels"),
    [
        ((0, 1, 2, 6, 7), [0, 20, 40, 40, 40, 40, 120, 140]),
        ((0, 3, 4), [0, 0, 0, 60, 80]),
        ((2, 3, 5), [40, 60, 60, 100]),
    ],
)
def test_skipped_frames_repeat_the_last_image(tmp_path, indices, levels):
    record(tmp_path / "out.avi", make_results(*indices))
    assert gray_levels(tmp_path / "out.avi") == levels
    assert frame_rate(tmp_path / "out.avi") == pytest.approx(10)


def test_a_live_camera_s_uneven_start_does_not_set_the_speed(tmp_path):
    times = [0.0, 0.5, *(0.5 + number / 20 for number in range(1, 15))]
    record(tmp_path / "out.avi", [frame_result(time=time, index=index) for index, time in enumerate(times)])
    assert frame_rate(tmp_path / "out.avi") == pytest.approx(20)
    assert len(gray_levels(tmp_path / "out.avi")) == round(times[-1] * 20) + 1


def test_a_source_above_the_maximum_rate_is_thinned_out(tmp_path):
    record(tmp_path / "out.avi", [frame_result(time=index / 240, index=index) for index in range(241)])
    assert frame_rate(tmp_path / "out.avi") == 60
    assert len(gray_levels(tmp_path / "out.avi")) == 61


def test_a_single_frame_is_a_video_of_one_frame(tmp_path):
    record(tmp_path / "out.mp4", make_results(5))
    assert gray_levels(tmp_path / "out.mp4") == [100]


def test_without_frames_there_is_no_video(tmp_path):
    record(tmp_path / "out.mp4", [])
    assert list(tmp_path.iterdir()) == []


def test_an_image_of_another_size_is_scaled_to_fit(tmp_path):
    sizes = [(320, 240), (100, 200), (1280, 240)]
    results = [frame_result(time=n / 10, index=n, level=200, size=size) for n, size in enumerate(sizes)]
    record(tmp_path / "out.avi", results)
    images = read_images(tmp_path / "out.avi")
    assert {image.shape for image in images} == {(240, 320, 3)}
    bright = [image[..., 0] > 100 for image in images]
    assert [int(rows.any(axis=0).sum()) for rows in bright] == pytest.approx([320, 120, 320], abs=4)
    assert [int(rows.any(axis=1).sum()) for rows in bright] == pytest.approx([240, 240, 60], abs=4)
    assert bright[1][:, 120:200].all()


def test_the_video_shows_the_faces(tmp_path):
    face = face_result(box=Box(40, 40, 60, 60))
    record(tmp_path / "out.avi", [frame_result(face, time=n / 10, index=n, size=(320, 240)) for n in (0, 1)])
    image = read_images(tmp_path / "out.avi")[0].astype(int)
    assert (image[100, 50:90, 1] > image[100, 50:90, 0] + 30).all()  # the lower edge of the box is green


def test_the_old_video_stays_until_the_new_one_is_complete(tmp_path):
    path = tmp_path / "out.mp4"
    path.write_text("old")
    with Sink(str(path), RunInfo(overwrite=True)) as sink:
        for result in make_results(0, 1, 2):
            sink.write(result)
        assert path.read_text() == "old"
    assert gray_levels(path) == [0, 20, 40]
    assert list(tmp_path.iterdir()) == [path]


def test_a_run_that_ends_with_an_error_keeps_its_recording(tmp_path):
    with pytest.raises(KeyError), Sink(str(tmp_path / "out.mp4")) as sink:  # noqa: PT012
        for result in make_results(0, 1, 2):
            sink.write(result)
        raise KeyError
    assert gray_levels(tmp_path / "out.mp4") == [0, 20, 40]


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond `size` bytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("suffix", ["mp4", "avi", "webm"])
def test_a_full_disk_is_an_error_and_leaves_no_broken_video(tmp_path, suffix, live):
    noise = np.random.default_rng(0).integers(0, 256, (8, 240, 320, 3), np.uint8)
    results = [
        replace(result, frame=replace(result.frame, color=lambda image=image: image))
        for result, image in zip(make_results(*range(8), size=(320, 240)), noise, strict=True)
    ]
    with file_size_limit(20_000), pytest.raises(SinkError, match=rf"out\.{suffix}: .*disk full"):
        record(tmp_path / f"out.{suffix}", results, live)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("live", [False, True])
def test_a_nearly_full_disk_ends_the_recording_complete(tmp_path, monkeypatch, live):
    free = iter([MIN_FREE_DISK_BYTES] * 12)

    def disk_usage(_):
        return SimpleNamespace(free=next(free, MIN_FREE_DISK_BYTES - 1), total=10 * MIN_FREE_DISK_BYTES)

    monkeypatch.setattr(shutil, "disk_usage", disk_usage)
    with pytest.raises(SinkError, match=r"less than 32 MB left on the disk; .* is kept"):
        record(tmp_path / "out.avi", make_results(*range(13)), live)
    assert len(gray_levels(tmp_path / "out.avi")) == 12


@pytest.mark.parametrize("name", ["out.avi", "out.png"])
def test_on_a_full_disk_nothing_is_recorded(tmp_path, monkeypatch, name):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0, total=10 * MIN_FREE_DISK_BYTES))
    with pytest.raises(SinkError, match=r"less than 32 MB left on the disk; nothing was recorded"):
        record(tmp_path / name, make_results(0))
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def slow_annotate(monkeypatch):
    """Make `annotate` wait for the event `unblock`, from frame `from_index` on; `started` is set before."""
    state = SimpleNamespace(started=threading.Event(), unblock=threading.Event(), from_index=0)

    def annotate_slowly(result):
        if result.frame.index >= state.from_index:
            state.started.set()
            assert state.unblock.wait(TIMEOUT_SECONDS)
        return annotate(result)

    monkeypatch.setattr(video, "annotate", annotate_slowly)
    monkeypatch.setattr(video, "VIDEO_DRAIN_SECONDS", 0.0)
    monkeypatch.setattr(video, "VIDEO_FINISH_SECONDS", TIMEOUT_SECONDS)
    yield state
    state.unblock.set()


def test_the_image_in_progress_is_completed_at_the_end(tmp_path, slow_annotate):
    with Sink(str(tmp_path / "out.avi"), RunInfo(live=True)) as sink:
        sink.write(*make_results(5))
        assert slow_annotate.started.wait(TIMEOUT_SECONDS)
        threading.Timer(0.1, slow_annotate.unblock.set).start()  # after the end of the run
    assert gray_levels(tmp_path / "out.avi") == [100]


def test_at_the_end_no_image_is_repeated(tmp_path, slow_annotate):
    slow_annotate.from_index = 8
    with Sink(str(tmp_path / "out.avi"), RunInfo(live=True)) as sink:
        for result in [*make_results(*range(8)), frame_result(time=1000.0, index=8, level=160)]:
            sink.write(result)
        assert slow_annotate.started.wait(TIMEOUT_SECONDS)
        threading.Timer(0.1, slow_annotate.unblock.set).start()
    assert gray_levels(tmp_path / "out.avi") == [0, 20, 40, 60, 80, 100, 120, 140, 160]


def test_a_disk_that_does_not_respond_is_an_error(tmp_path, monkeypatch, slow_annotate):
    monkeypatch.setattr(video, "VIDEO_FINISH_SECONDS", 0.0)
    sink = Sink(str(tmp_path / "out.avi"), RunInfo(live=True)).__enter__()
    sink.write(frame_result())
    assert slow_annotate.started.wait(TIMEOUT_SECONDS)
    with pytest.raises(SinkError, match=r"out\.avi: incomplete"):
        sink.__exit__(None, None, None)


@pytest.mark.parametrize("name", ["face.png", "face.jpg", "new/face.webp", "face.tif", "face.ppm"])
def test_image_files_are_numbered_from_the_second(tmp_path, name):
    path = tmp_path / name
    record(path, make_results(0, 3, 5))
    names = [path.name, f"face-2{path.suffix}", f"face-3{path.suffix}"]
    assert sorted(file.name for file in path.parent.iterdir()) == sorted(names)
    images = [cv2.imread(str(path.with_name(each))) for each in names]
    assert [round(image.mean()) for image in images if image is not None] == pytest.approx([0, 60, 100], abs=2)


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("x,blur.mp4", "the option blur comes once, at the end"),
        ("x, Blur.mp4", "the option blur comes once, at the end"),
        ("x,blur/out.mp4", "the option blur comes once, at the end"),
        ("x.mp4,blur,blur", "the option blur comes once, at the end"),
        ("bl.mp4,bulr", "unknown option 'bulr'; did you mean blur?"),
        ("bl.mp4,blurr", "unknown option 'blurr'; did you mean blur?"),
        ("bl.mp4,fps=5", "unknown option 'fps=5'; the option is blur"),
        ("", "expected video:FILE.mp4 or video:FOLDER"),
    ],
)
def test_a_misspelled_blur_does_not_store_faces(argument, words):
    with pytest.raises(UsageError, match=re.escape(words)):
        Sink(argument)


@pytest.mark.parametrize("name", ["Eva, Carl.mp4", "Eva, Carl/out.mp4", "Eva,blurry.mp4"])
def test_the_name_of_a_video_may_have_a_comma(name):
    assert Sink(name).output == Path(name)


@pytest.mark.parametrize("name", ["out.mkv", "no-suffix", ".mp4", "out.pgm"])
def test_an_unknown_suffix_is_refused_with_the_known_ones(name):
    with pytest.raises(UsageError, match=r"\.mp4, \.avi, \.webm, \.png"):
        Sink(name)


@pytest.mark.parametrize("name", ["out.mp4", "out.png"])
def test_a_path_that_cannot_be_written_is_an_error(tmp_path, name):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / name, f"/proc/{name}"):
        with pytest.raises(EmotionEdgeError, match=rf"{path}: cannot be (opened|written)"):
            record(path, make_results(0, 1))


@pytest.mark.parametrize("name", ["face.mp4", "face.png", "face-2.png"])
def test_a_file_that_exists_is_not_replaced(tmp_path, name):
    (tmp_path / name).write_text("old")
    target = tmp_path / name.replace("-2", "")
    with pytest.raises(UsageError, match=rf"{name}: the file exists; .*--overwrite"):
        record(target, make_results(0, 1))
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "old")]


@pytest.mark.parametrize("name", ["clip.mp4", "link.mp4"])
def test_the_source_is_not_replaced(tmp_path, name):
    source = tmp_path / "clip.mp4"
    source.write_text("source")
    (tmp_path / "link.mp4").symlink_to(source)
    run = RunInfo(is_source=source.samefile, overwrite=True)
    with pytest.raises(UsageError, match=f"{name}: the target is the source"), Sink(str(tmp_path / name), run):
        pass
    assert source.read_text() == "source"


def test_a_file_that_appears_during_the_run_is_kept(tmp_path):
    with Sink(str(tmp_path / "out.avi")) as sink:
        sink.write(*make_results(5))
        (tmp_path / "out.avi").write_text("other")
    assert (tmp_path / "out.avi").read_text() == "other"
    (own,) = tmp_path.glob("out-*.avi")
    assert gray_levels(own) == [100]


@pytest.mark.parametrize("existing", [False, True])
def test_a_folder_gets_a_video_for_each_run(tmp_path, existing):
    folder = tmp_path / "videos"
    if existing:
        folder.mkdir()
    for _ in range(2):
        record(f"{folder}/" if not existing else folder, make_results(5))
    videos = sorted(folder.iterdir())
    assert len(videos) == 2
    assert all(path.match("video-????-??-??_??-??-??*.mp4") and gray_levels(path) == [100] for path in videos)


def test_a_service_writes_a_new_file_after_each_start(tmp_path):
    for _ in range(2):
        with Sink(str(tmp_path / "out.avi"), RunInfo(is_service=True)) as sink:
            sink.write(*make_results(5))
    assert [path.match("out-*.avi") for path in tmp_path.iterdir()] == [True, True]


def test_a_name_that_is_not_utf_8_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"o\\xe9\.mp4: the name is not UTF-8"):
        record(tmp_path / "o\udce9.mp4", make_results(0))
