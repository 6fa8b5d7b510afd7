"""Videos, images, folders and patterns: intact frames are delivered, a damaged one is a gap, a bad path an error."""

import os
import struct
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.capture import file
from edge.capture.file import frames, has_images, is_live, is_text, read_files
from edge.capture.file_list import list_files
from edge.errors import CameraError, SourceNotFoundError, UsageError
from tests.support.commands import open_descriptors
from tests.support.fakes import FakeClock
from tests.support.image_files import jpeg_in_scans

FPS, FRAMES = 10, 12


def write_video(path: Path, count: int = FRAMES) -> Path:
    """Write a video in which frame n has the gray level 20 n."""
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
    assert len(starts) == FRAMES
    for number in numbers:
        end = starts[number + 1] - 8 if number + 1 < FRAMES else content.index(b"idx1", starts[number])
        content[starts[number] : end] = bytes(end - starts[number])  # not the next image's header, 8 bytes
    path.write_bytes(content)


def write_image(path: Path, level: int = 100) -> None:
    assert cv2.imwrite(str(path), np.full((48, 64, 3), level, np.uint8))


def numbers(taken) -> list[int]:
    """Return the number in `write_video` of each of the frames `taken`."""
    return [round(frame.gray.mean() / 20) for frame in taken]


@pytest.mark.parametrize("name", ["video.mp4", "video.avi"])
def test_a_video_delivers_every_frame_in_order_with_its_time(tmp_path, name):
    taken = list(frames(str(write_video(tmp_path / name))))
    assert numbers(taken) == list(range(FRAMES))
    assert [frame.index for frame in taken] == list(range(FRAMES))
    assert [frame.time for frame in taken] == pytest.approx([number / FPS for number in range(FRAMES)], abs=0.01)
    assert taken[3].gray.shape == (48, 64)
    assert taken[3].color().shape == (48, 64, 3)


@pytest.mark.parametrize("name", ["video.mp4", "image.png"])
def test_a_frame_has_its_conversion_time(tmp_path, name, monkeypatch):
    path = write_video(tmp_path / name, 2) if name.startswith("video") else tmp_path / name
    write_image(tmp_path / "image.png")
    clock, convert = FakeClock(50.0), cv2.cvtColor

    def convert_slowly(*arguments):
        clock.now += 0.25
        return convert(*arguments)

    monkeypatch.setattr(file, "time", clock)
    monkeypatch.setattr(cv2, "cvtColor", convert_slowly)
    assert {frame.convert_seconds for frame in frames(str(path))} == {0.25}


def test_a_file_is_not_live():
    assert not is_live("video.mp4")


def test_only_images_folders_and_patterns_have_images(tmp_path):
    write_image(tmp_path / "a.PNG")
    assert all(has_images(str(source)) for source in (tmp_path, tmp_path / "a.PNG", tmp_path / "*.png"))
    assert not has_images(str(write_video(tmp_path / "video.mp4")))


@pytest.mark.parametrize("damaged", [(5,), (5, 6), (3, 7), (0,), (0, 1), (FRAMES - 1,), (9, 10, 11)])
def test_a_damaged_frame_of_a_video_is_a_gap_in_the_index(tmp_path, damaged):
    path = write_video(tmp_path / "video.avi")
    damage(path, *damaged)
    taken = list(frames(str(path)))
    intact = [number for number in range(FRAMES) if number not in damaged]
    assert numbers(taken) == intact
    assert [frame.index for frame in taken] == intact
    assert [frame.time for frame in taken] == pytest.approx([number / FPS for number in intact], abs=0.01)


def test_a_video_without_a_decodable_frame_is_refused(tmp_path):
    path = write_video(tmp_path / "video.avi")
    damage(path, *range(FRAMES))
    with pytest.raises(CameraError, match="no frame could be decoded"):
        next(frames(str(path)))


@pytest.mark.parametrize(("degrees", "matrix"), [(90, (0, 1, -1, 0)), (180, (-1, 0, 0, -1)), (270, (0, -1, 1, 0))])
def test_a_video_of_a_phone_is_turned_upright(tmp_path, degrees, matrix):
    upright = np.zeros((64, 64, 3), np.uint8)
    upright[:20, :40] = 200
    writer = cv2.VideoWriter(str(tmp_path / "a.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), FPS, (64, 64))
    writer.write(np.ascontiguousarray(np.rot90(upright, degrees // 90)))
    writer.release()
    content = (tmp_path / "a.mp4").read_bytes()
    at = content.index(b"tkhd") + 44  # the display matrix, ISO/IEC 14496-12 section 8.3.2
    a, b, c, d = (each << 16 for each in matrix)
    (tmp_path / "a.mp4").write_bytes(
        content[:at] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30) + content[at + 36 :]
    )
    (frame,) = frames(str(tmp_path / "a.mp4"))
    assert np.abs(frame.color().astype(int) - upright).mean() < 5


@pytest.mark.skipif(cv2.__version__ < "4.12", reason="OpenCV 4.11 shows stale pixels")
def test_a_stream_that_changes_its_size_shows_the_whole_image(tmp_path):
    image = np.zeros((96, 128, 3), np.uint8)
    image[:, 64:] = 200
    encoded = [cv2.imencode(".jpg", each)[1].tobytes() for each in (image, cv2.resize(image, (64, 48)))]
    (tmp_path / "a.mjpeg").write_bytes(encoded[0] * 5 + encoded[1] * 5)
    taken = list(frames(str(tmp_path / "a.mjpeg")))
    assert len(taken) == 10
    assert all(np.abs(cv2.resize(frame.color(), (128, 96)).astype(int) - image).mean() < 5 for frame in taken)


def test_a_video_that_is_not_decoded_is_named_with_its_codec(tmp_path):
    path = write_video(tmp_path / "video.avi")
    path.write_bytes(path.read_bytes().replace(b"MJPG", b"zzz9"))
    with pytest.raises(CameraError, match=r"video\.avi: .*AVI file with zzz9 video; .*ffmpeg -i \S+/video\.avi -c:v "):
        next(frames(str(path)))


def test_an_image_of_an_iphone_is_named_with_what_to_do(tmp_path, caplog):
    write_image(tmp_path / "a.png")
    (tmp_path / "b.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    assert len(list(frames(str(tmp_path)))) == 1
    (message,) = caplog.messages
    assert "HEIC images are not read; convert it to JPEG" in message


def test_a_truncated_video_is_refused(tmp_path):
    path = write_video(tmp_path / "video.mp4")
    path.write_bytes(path.read_bytes()[:-400])  # its index is at the end
    with pytest.raises(CameraError, match=r"video\.mp4: cannot be decoded as a video"):
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
def test_an_image_is_one_frame_with_its_name(tmp_path, suffix):
    write_image(tmp_path / f"one{suffix}")
    (frame,) = frames(str(tmp_path / f"one{suffix}"))
    assert (frame.index, frame.time, frame.source_name) == (0, 0, f"one{suffix}")
    assert abs(int(frame.gray.mean()) - 100) <= 1


def test_a_color_image_has_color_and_gray(tmp_path):
    blue = np.zeros((8, 8, 3), np.uint8)
    blue[..., 0] = 200
    cv2.imwrite(str(tmp_path / "blue.png"), blue)
    (frame,) = frames(str(tmp_path / "blue.png"))
    assert np.array_equal(frame.color(), blue)
    assert np.array_equal(frame.gray, cv2.cvtColor(blue, cv2.COLOR_BGR2GRAY))


def test_a_folder_delivers_its_images_sorted_by_name(tmp_path):
    for name, level in (("b.png", 20), ("a.jpg", 0), ("c.PNG", 40)):
        write_image(tmp_path / name, level)
    (tmp_path / "notes.txt").write_text("not an image")
    taken = list(frames(str(tmp_path)))
    assert [frame.source_name for frame in taken] == ["a.jpg", "b.png", "c.PNG"]
    assert numbers(taken) == [0, 1, 2]
    assert all(later.time - earlier.time >= 1 for earlier, later in pairwise(taken))  # no smoothing across images


def test_a_broken_image_of_a_folder_is_left_out_with_its_reason(tmp_path, caplog):
    for name in ("a.png", "b.png", "c.png"):
        write_image(tmp_path / name)
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[:40])
    left_out: list[str] = []
    taken = list(read_files(list_files([str(tmp_path)]), left_out))
    assert [(frame.source_name, frame.index) for frame in taken] == [("a.png", 0), ("c.png", 1)]
    assert left_out == ["b.png"]
    (message,) = caplog.messages
    assert message.startswith("edge: b.png: left out (does not decode as an image")


def test_videos_of_a_folder_follow_each_other(tmp_path):
    write_video(tmp_path / "b.avi")
    write_video(tmp_path / "a.mp4", 3)
    taken = list(frames(str(tmp_path)))
    assert [frame.source_name for frame in taken] == ["a.mp4"] * 3 + ["b.avi"] * FRAMES
    assert [frame.index for frame in taken] == list(range(3 + FRAMES))
    assert all(later.time > earlier.time for earlier, later in pairwise(taken))
    assert not any(frame.is_image for frame in taken)


def test_a_video_that_states_too_many_frames_ends(tmp_path, monkeypatch):
    class Endless:
        def __init__(self, _):
            self.read = lambda: (False, None)
            self.set = lambda *_: True
            self.isOpened = lambda: True
            self.release = lambda: None

        def get(self, which):
            return 2.0**63 if which == cv2.CAP_PROP_FRAME_COUNT else 25.0

    monkeypatch.setattr(cv2, "VideoCapture", Endless)
    (tmp_path / "a.mp4").touch()
    with pytest.raises(CameraError, match="no frame could be decoded"):
        next(frames(str(tmp_path / "a.mp4")))


def test_a_transport_stream_is_no_text(tmp_path):
    (tmp_path / "a.ts").write_bytes(b"G\0binary")
    (tmp_path / "b.ts").write_text("export const text = 1\n")
    assert [is_text(tmp_path / name) for name in ("a.ts", "b.ts", "c.mp4")] == [False, True, False]


def test_a_video_whose_name_is_not_utf_8_is_refused(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.mp4")
    path.touch()
    with pytest.raises(UsageError, match=r"caf\\xe9\.mp4: the name is not UTF-8; rename"):
        next(frames(str(path)))


def test_a_video_with_colons_in_its_name_is_read(tmp_path, monkeypatch):
    write_video(tmp_path / "12:30:00.mp4")
    monkeypatch.chdir(tmp_path)
    assert len(list(frames("12:30:00.mp4"))) == FRAMES


def test_an_image_whose_name_is_not_utf_8_has_it_escaped(tmp_path):
    write_image(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / os.fsdecode(b"caf\xe9\n.png"))
    assert [frame.source_name for frame in frames(str(tmp_path))] == ["caf\\xe9\\n.png"]


def test_a_pattern_delivers_the_matching_images(tmp_path):
    for name in ("a1.png", "a2.png", "b1.png"):
        write_image(tmp_path / name)
    assert [frame.source_name for frame in frames(str(tmp_path / "a?.png"))] == ["a1.png", "a2.png"]
    assert [frame.source_name for frame in frames(str(tmp_path / "*1*"))] == ["a1.png", "b1.png"]


def test_an_existing_file_is_never_a_pattern(tmp_path):
    write_image(tmp_path / "a[1].png")
    write_image(tmp_path / "a1.png")
    assert [frame.source_name for frame in frames(str(tmp_path / "a[1].png"))] == ["a[1].png"]


def test_the_home_folder_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_image(tmp_path / "me.png")
    assert [frame.source_name for frame in frames("~/me.png")] == ["me.png"]


@pytest.mark.parametrize("content", [b"", b"a text under an image's name"])
def test_an_image_that_does_not_decode_is_refused(tmp_path, content):
    (tmp_path / "text.png").write_bytes(content)
    with pytest.raises(CameraError, match=r"text\.png: does not decode as an image"):
        next(frames(str(tmp_path / "text.png")))


def test_image_that_costs_too_much_is_refused_with_its_size(tmp_path):
    path = tmp_path / "scans.png"  # what is inside counts, not the name
    path.write_bytes(jpeg_in_scans(8900, 3))
    with pytest.raises(CameraError, match=r"scans\.png: .*8900 x 8900 pixels; the limit"):
        next(frames(str(path)))


def test_a_folder_without_a_decodable_image_is_refused(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_text("text")
    with pytest.raises(CameraError, match="none of 2 files can be read"):
        next(frames(str(tmp_path)))


@pytest.mark.parametrize("name", ["nothing.mp4", "nothing/", "*.png", "nothing/*.png"])
def test_a_missing_source_is_an_error_with_its_name(tmp_path, name):
    with pytest.raises(SourceNotFoundError, match="no such file, folder or pattern") as caught:
        next(frames(f"{tmp_path}/{name}"))
    assert str(caught.value).startswith(f"{tmp_path}/{name}: ")


def test_a_folder_without_images_is_an_error_with_its_name(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(SourceNotFoundError, match=f"{tmp_path}: a folder without images"):
        next(frames(str(tmp_path)))


def test_an_invalid_path_is_an_error_with_the_reason():
    with pytest.raises(UsageError, match=r"^x+\.\.\.: too long for a path"):
        next(frames("x" * 300))


@contextmanager
def ordinary_user():
    """Run the block as user `nobody` if we are root, who may read everything."""
    before = os.geteuid()
    os.seteuid(before or 65534)
    yield
    os.seteuid(before)


@pytest.mark.parametrize("inside", ["", "/image.png", "/*.png"])
def test_a_folder_without_permission_is_an_error(tmp_path, inside):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    with ordinary_user(), pytest.raises(CameraError, match=rf"^{closed}.*: cannot be read \(Permission denied\)"):
        next(frames(f"{closed}{inside}"))
