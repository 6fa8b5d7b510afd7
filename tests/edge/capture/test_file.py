"""Videos, images, folders and patterns: every good frame comes, a damaged one is a gap, a bad path is named."""

import os
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from edge.capture import file
from edge.capture.file import frames, live
from edge.errors import CameraError, SourceNotFoundError
from tests.support.commands import open_descriptors

FPS, COUNT = 10, 12


def write_video(path: Path, count: int = COUNT) -> Path:
    """Write a video in which frame n is evenly gray, 20 n bright."""
    codec = cv2.VideoWriter.fourcc(*("MJPG" if path.suffix == ".avi" else "mp4v"))
    writer = cv2.VideoWriter(str(path), codec, FPS, (64, 48))
    assert writer.isOpened()
    for number in range(count):
        writer.write(np.full((48, 64, 3), 20 * number, np.uint8))
    writer.release()
    return path


def damage(path: Path, *numbers: int) -> None:
    """Overwrite the JPEG images `numbers` of the video at `path` with zeros."""
    content = bytearray(path.read_bytes())
    starts = [place for place in range(len(content)) if content[place : place + 2] == b"\xff\xd8"]
    assert len(starts) == COUNT
    for number in numbers:
        end = starts[number + 1] - 8 if number + 1 < COUNT else content.index(b"idx1", starts[number])
        content[starts[number] : end] = bytes(end - starts[number])  # not the next image's header, 8 bytes
    path.write_bytes(content)


def write_image(path: Path, level: int = 100) -> None:
    assert cv2.imwrite(str(path), np.full((48, 64, 3), level, np.uint8))


def numbers(taken) -> list[int]:
    """Return which frame of `write_video` each of the frames `taken` shows."""
    return [round(frame.gray.mean() / 20) for frame in taken]


@pytest.mark.parametrize("name", ["video.mp4", "video.avi"])
def test_every_frame_of_a_video_comes_in_order_with_its_time(tmp_path, name):
    taken = list(frames(str(write_video(tmp_path / name))))
    assert numbers(taken) == list(range(COUNT))
    assert [frame.index for frame in taken] == list(range(COUNT))
    assert [frame.time for frame in taken] == pytest.approx([number / FPS for number in range(COUNT)], abs=0.01)
    assert taken[3].gray.shape == (48, 64)
    assert taken[3].color().shape == (48, 64, 3)


@pytest.mark.parametrize("name", ["video.mp4", "image.png"])
def test_a_frame_says_how_long_it_took_to_make_it_gray(tmp_path, name, monkeypatch):
    path = write_video(tmp_path / name, 2) if name.startswith("video") else tmp_path / name
    write_image(tmp_path / "image.png")
    clock, convert = SimpleNamespace(now=50.0), cv2.cvtColor
    clock.perf_counter = lambda: clock.now

    def slowly(*arguments):
        clock.now += 0.25
        return convert(*arguments)

    monkeypatch.setattr(file, "time", clock)
    monkeypatch.setattr(cv2, "cvtColor", slowly)
    assert {frame.convert_seconds for frame in frames(str(path))} == {0.25}


def test_a_file_waits_until_it_is_asked():
    assert not live("video.mp4")


@pytest.mark.parametrize("hit", [(5,), (5, 6), (3, 7), (0,), (0, 1), (COUNT - 1,), (9, 10, 11)])
def test_a_damaged_frame_of_a_video_is_left_out_and_shows_as_a_gap(tmp_path, hit):
    path = write_video(tmp_path / "video.avi")
    damage(path, *hit)
    taken = list(frames(str(path)))
    good = [number for number in range(COUNT) if number not in hit]
    assert numbers(taken) == good
    assert [frame.index for frame in taken] == good
    assert [frame.time for frame in taken] == pytest.approx([number / FPS for number in good], abs=0.01)


def test_a_video_without_one_good_frame_is_an_error(tmp_path):
    path = write_video(tmp_path / "video.avi")
    damage(path, *range(COUNT))
    with pytest.raises(CameraError, match="not one frame could be decoded"):
        next(frames(str(path)))


def test_a_truncated_video_is_refused(tmp_path):
    path = write_video(tmp_path / "video.mp4")
    path.write_bytes(path.read_bytes()[:-400])  # its table of contents stands at the end
    with pytest.raises(CameraError, match=r"video\.mp4: cannot be decoded as a video; is it one, and whole"):
        next(frames(str(path)))


@pytest.mark.parametrize("content", [b"", b"a text, not a video\n" * 50])
def test_a_file_that_is_no_video_is_refused(tmp_path, content):
    (tmp_path / "notes.mp4").write_bytes(content)
    with pytest.raises(CameraError, match=r"notes\.mp4: cannot be decoded as a video"):
        next(frames(str(tmp_path / "notes.mp4")))


def test_a_video_is_closed_when_the_run_ends_early(tmp_path):
    path = write_video(tmp_path / "video.mp4")
    before = open_descriptors()
    source = frames(str(path))
    next(source)
    source.close()
    assert open_descriptors() == before


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".BMP", ".webp"])
def test_a_image_is_one_frame_with_its_name(tmp_path, suffix):
    write_image(tmp_path / f"one{suffix}")
    (frame,) = frames(str(tmp_path / f"one{suffix}"))
    assert (frame.index, frame.time, frame.source_name) == (0, 0, f"one{suffix}")
    assert abs(int(frame.gray.mean()) - 100) <= 1


def test_a_color_image_keeps_its_color_and_is_searched_in_gray(tmp_path):
    blue = np.zeros((8, 8, 3), np.uint8)
    blue[..., 0] = 200
    cv2.imwrite(str(tmp_path / "blue.png"), blue)
    (frame,) = frames(str(tmp_path / "blue.png"))
    assert np.array_equal(frame.color(), blue)
    assert np.array_equal(frame.gray, cv2.cvtColor(blue, cv2.COLOR_BGR2GRAY))


def test_a_folder_gives_its_images_by_name_and_nothing_else(tmp_path):
    for name, level in (("b.png", 20), ("a.jpg", 0), ("c.PNG", 40)):
        write_image(tmp_path / name, level)
    (tmp_path / "notes.txt").write_text("not an image")
    taken = list(frames(str(tmp_path)))
    assert [frame.source_name for frame in taken] == ["a.jpg", "b.png", "c.PNG"]
    assert numbers(taken) == [0, 1, 2]
    # Two images are two moments: they must not be averaged together.
    assert all(later.time - sooner.time >= 1 for sooner, later in pairwise(taken))


def test_a_broken_image_in_a_folder_is_left_out_and_shows_as_a_gap(tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        write_image(tmp_path / name)
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[:40])
    assert [(frame.source_name, frame.index) for frame in frames(str(tmp_path))] == [("a.png", 0), ("c.png", 2)]


def test_a_pattern_gives_the_images_that_match(tmp_path):
    for name in ("a1.png", "a2.png", "b1.png"):
        write_image(tmp_path / name)
    assert [frame.source_name for frame in frames(str(tmp_path / "a?.png"))] == ["a1.png", "a2.png"]
    assert [frame.source_name for frame in frames(str(tmp_path / "*1*"))] == ["a1.png", "b1.png"]


def test_a_file_whose_name_looks_like_a_pattern_is_itself(tmp_path):
    write_image(tmp_path / "a[1].png")
    write_image(tmp_path / "a1.png")
    assert [frame.source_name for frame in frames(str(tmp_path / "a[1].png"))] == ["a[1].png"]


def test_the_home_folder_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_image(tmp_path / "me.png")
    assert [frame.source_name for frame in frames("~/me.png")] == ["me.png"]


@pytest.mark.parametrize("content", [b"", b"a text under an image's name"])
def test_a_image_that_does_not_decode_is_refused(tmp_path, content):
    (tmp_path / "text.png").write_bytes(content)
    with pytest.raises(CameraError, match=r"text\.png: does not decode as an image"):
        next(frames(str(tmp_path / "text.png")))


def test_a_folder_of_which_no_image_decodes_is_refused_with_their_number(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_text("text")
    with pytest.raises(CameraError, match=f"{tmp_path}: none of 2 files"):
        next(frames(str(tmp_path)))


@pytest.mark.parametrize("name", ["nothing.mp4", "nothing/", "*.png", "nothing/*.png"])
def test_what_is_not_there_is_named(tmp_path, name):
    with pytest.raises(SourceNotFoundError, match="no such file, folder or pattern") as caught:
        next(frames(f"{tmp_path}/{name}"))
    assert str(caught.value).startswith(f"{tmp_path}/{name}: ")


def test_a_folder_without_images_is_named(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(SourceNotFoundError, match=f"{tmp_path}: a folder without images"):
        next(frames(str(tmp_path)))


def test_a_path_that_cannot_be_looked_up_is_named_with_the_reason():
    with pytest.raises(CameraError, match=r"x: cannot be read \(File name too long\)"):
        next(frames("x" * 300))


@contextmanager
def ordinary_user():
    """Be nobody for a while if we are root, who may read everything."""
    before = os.geteuid()
    os.seteuid(before or 65534)
    yield
    os.seteuid(before)


@pytest.mark.parametrize("inside", ["", "/image.png", "/*.png"])
def test_a_folder_that_may_not_be_read_is_named(tmp_path, inside):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    with ordinary_user(), pytest.raises(CameraError, match=rf"^{closed}.*: cannot be read \(Permission denied\)"):
        next(frames(f"{closed}{inside}"))
