"""Checks edge/capture/picamera.py and `edge run picamera` with real picamera2 on real libcamera's virtual camera.

usage: python3 -m tests.libcamera.check         run all checks, each in its own process, and print a table
       python3 -m tests.libcamera.check NAME    run one check in this process, and print its result

Exit status 1: a check failed. Runs in the system that scripts/libcamera.sh creates. The docstring of a check is its
claim; it returns what it measured.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from importlib import metadata
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.capture import picamera
from edge.capture.synthetic import EMOTION_SECONDS, SyntheticScene
from edge.types import Box, Frame
from tests.libcamera.virtual import adapt
from tests.support.commands import open_descriptors

IMAGES = Path("/srv/emotion-edge-film")  # of the virtual camera, named in virtual.yaml
SIZE = (1280, 960)
EMOTION, IMAGE_COUNT, IMAGES_PER_SECOND = "happy", 8, 20  # of the face
RED_COLUMNS = 60  # pixels at the left border that are painted red, to check the color
PROCESS_TIMEOUT_SECONDS = 60

# `edge` with the virtual camera; {before} is executed first.
PROGRAM = """
from tests.libcamera.virtual import adapt
Picamera2 = adapt()
{before}
from edge.cli import main
main()
"""
OPEN_CAMERA = "camera = Picamera2()"
# When a camera is disconnected, libcamera cancels the requests, and picamera2 makes no new ones.
DISCONNECT = """
from itertools import count
from picamera2.request import CompletedRequest
release, released = CompletedRequest.release, count()
def last(request):
    if next(released) >= 50:
        request.stop_count = -1
    release(request)
CompletedRequest.release = last
"""

# Raspberry Pi's modules: the sensor's pixels, and its modes, as `rpicam-hello --list-cameras` prints them: size, bits,
# and the field of view in pixels of the sensor.
SENSORS = {
    "1 (ov5647)": (
        (2592, 1944),
        [
            ((640, 480), 10, (2560, 1920)),
            ((1296, 972), 10, (2592, 1944)),
            ((1920, 1080), 10, (1928, 1080)),
            ((2592, 1944), 10, (2592, 1944)),
        ],
    ),
    "2 (imx219)": (
        (3280, 2464),
        [
            ((640, 480), 10, (1280, 960)),
            ((1640, 1232), 10, (3280, 2464)),
            ((1920, 1080), 10, (1920, 1080)),
            ((3280, 2464), 10, (3280, 2464)),
        ],
    ),
    "3 (imx708)": (
        (4608, 2592),
        [
            ((1536, 864), 10, (3072, 1728)),
            ((2304, 1296), 10, (4608, 2592)),
            ((4608, 2592), 10, (4608, 2592)),
        ],
    ),
    "HQ (imx477)": (
        (4056, 3040),
        [
            ((1332, 990), 10, (2664, 1980)),
            ((2028, 1080), 12, (4056, 2160)),
            ((2028, 1520), 12, (4056, 3040)),
            ((4056, 3040), 12, (4056, 3040)),
        ],
    ),
    "GS (imx296)": ((1456, 1088), [((1456, 1088), 10, (1456, 1088))]),
    "AI (imx500)": ((4056, 3040), [((2028, 1520), 10, (4056, 3040)), ((4056, 3040), 10, (4056, 3040))]),
}


# --- the virtual camera's images ----------------------------------------------------------------------------------


def make_images() -> Iterator[tuple[NDArray[np.uint8], Box]]:
    """Yield the images, (height, width, 3) BGR, and the box of the face in each."""
    scene = SyntheticScene(*SIZE)
    for number in range(IMAGE_COUNT):
        seconds = EMOTION_SECONDS * scene.emotions.index(EMOTION) + 0.5 + number / IMAGES_PER_SECOND
        image = np.repeat(scene.image(seconds)[..., np.newaxis], 3, axis=2)
        image[:, :RED_COLUMNS] = (60, 60, 200)
        yield image, scene.faces(seconds)[0].box


def write_images() -> None:
    """Write the images for the virtual camera."""
    IMAGES.mkdir(exist_ok=True)
    for number, (image, _) in enumerate(make_images()):
        cv2.imwrite(str(IMAGES / f"{number}.jpg"), image)


# --- checks -------------------------------------------------------------------------------------------------------


def detected() -> str:
    """The camera is detected without being opened"""
    adapt()
    number, description = picamera.detect()
    assert number == "0", description
    return description


def configured() -> str:
    """It is configured once for the run: a large image, and one of half the size"""
    picamera2, cameras = adapt(), []
    init = picamera2.__init__

    def init_and_record(camera: Any, number: int) -> None:
        cameras.append(camera)
        init(camera, number)

    picamera2.__init__ = init_and_record
    with closing(picamera.frames("")) as source:
        take_frames(source, 100)
        (camera,) = cameras
        times, streams = camera.configure_count, camera.camera_configuration()
    sizes = [streams[name]["size"] for name in ("main", "lores")]
    assert times == 1, times
    assert sizes == [SIZE, (640, 480)], sizes
    return f"{times} configuration: {', '.join(f'{width} x {height}' for width, height in sizes)}"


def luma() -> str:
    """The gray of each frame is the luma of one of the images; the search image is the same view"""
    adapt()
    images = [read_gray(path) for path in IMAGES.glob("*.jpg")]
    with closing(picamera.frames("")) as source:
        frames = take_frames(source, 40)
    difference = max(min(mean_difference(frame.gray, image) for image in images) for frame in frames)
    search_difference = max(mean_difference(half_size(frame.gray), frame.search_image) for frame in frames)
    assert difference < 0.5, difference
    assert search_difference < 2, search_difference
    assert len({frame.gray.tobytes() for frame in frames}) == IMAGE_COUNT
    return f"{len(frames)} frames, at most {difference:.2f} gray levels off; search images, {search_difference:.2f}"


def timed() -> str:
    """Frames come in order, with libcamera's time stamps"""
    adapt()
    with closing(picamera.frames("")) as source:
        frames = take_frames(source, 60)
    times = [frame.time for frame in frames]
    assert [frame.index for frame in frames] == list(range(60))
    assert times[0] == 0
    assert all(later > earlier for earlier, later in pairwise(times)), times
    return f"60 frames in {times[-1]:.2f} s, each later than the one before"


def colored() -> str:
    """The color is correct"""
    adapt()
    with closing(picamera.frames("")) as source:
        image = take_frames(source, 1)[0].color()
    blue, green, red = image[:, : RED_COLUMNS - 10].reshape(-1, 3).mean(axis=0)
    assert image.shape == (SIZE[1], SIZE[0], 3), image.shape
    assert min(red - blue, red - green) > 100, (blue, green, red)
    return f"painted blue 60, green 60, red 200; captured {blue:.0f}, {green:.0f}, {red:.0f}"


def sized() -> str:
    """The size is as requested, and a small image has no search image"""
    adapt()
    with closing(picamera.frames("0,size=640x480")) as source:
        frame = take_frames(source, 1)[0]
    assert frame.gray.shape == (480, 640), frame.gray.shape
    assert frame.search_image is None
    return "640 x 480, no search image"


def classified() -> str:
    """`edge run picamera --max-frames 300 --sink jsonl` classifies the face, at its box, and ends by itself"""
    run = edge("run", "picamera", "--max-frames", "300", "--sink", "jsonl")
    assert run.returncode == 0, run.stderr
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    boxes = [box for _, box in make_images()]
    faces = [face for line in lines for face in line["faces"]]
    correct = [face for face in faces if any(Box(*face["box"]).iou(box) > 0.5 for box in boxes)]
    assert len(lines) == 300, len(lines)
    assert len(correct) == len(faces) > 270, (len(correct), len(faces))
    assert {face["track_id"] for face in faces} == {1}, faces
    assert faces[-1]["label"] == EMOTION, faces[-1]
    return (
        f"300 frames, {len(correct)} results, all at the face's box; at the end {EMOTION} {faces[-1]['confidence']:.0%}"
    )


def stopped() -> str:
    """SIGTERM ends a run with status 0, and the next process can open the camera"""
    with subprocess.Popen(command("run", "picamera", "--sink", "jsonl"), stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        begin = time.monotonic()
        process.terminate()
        process.communicate(timeout=PROCESS_TIMEOUT_SECONDS)
        seconds = time.monotonic() - begin
    again = edge("run", "picamera", "--max-frames", "10", "--sink", "jsonl")
    assert (process.returncode, again.returncode) == (0, 0), again.stderr
    assert seconds < 3, seconds  # 0.3 on an idle machine
    return f"ended after {seconds:.2f} s; then 10 frames in another process"


def released() -> str:
    """After closing, it can be opened again in the same process, and no descriptor leaks"""
    adapt()
    counts = []
    for _ in range(4):
        with closing(picamera.frames("")) as source:
            take_frames(source, 5)
        gc.collect()  # picamera2's objects have reference cycles
        counts.append(open_descriptors())
    assert len(set(counts)) == 1, counts
    return f"opened 4 times; {counts[-1]} descriptors after each"


def busy() -> str:
    """A camera in use by another process: one line, status 1"""
    return failure(
        "run", "picamera", before=OPEN_CAMERA, expected="cannot be opened (Failed to acquire camera: Device or"
    )


def unallocated() -> str:
    """A start that fails without memory for images: libcamera's reason, status 1"""
    return failure("run", "picamera", expected="picamera:0: cannot be opened (", DMA_HEAP_IS_FULL="yes")


def missing() -> str:
    """A missing module: the number of modules, status 1"""
    return failure("run", "picamera:1", expected="picamera:1: 1 modules found; check the ribbon cable")


def absent() -> str:
    """No module at all: the number of modules, status 1"""
    nothing = {"LIBCAMERA_PIPELINES_MATCH_LIST": "simple"}
    return failure("run", "picamera", expected="picamera:0: 0 modules found; check the ribbon cable", **nothing)


def silent() -> str:
    """A disconnected camera that delivers nothing: one line after 2 s, status 1, and closing it does not block"""
    begin = time.monotonic()
    line = failure("run", "picamera", before=DISCONNECT, expected="picamera: the camera stopped delivering after")
    seconds = time.monotonic() - begin
    assert seconds < 10, seconds
    return f"{line} (after {seconds:.1f} s in total)"


def full_view() -> str:
    """picamera2 chooses a mode with the full field of view, for each of Raspberry Pi's modules"""
    chosen = {name: mode(name, ours=True) for name in SENSORS}
    cropped = {name: view for name, (_, view) in chosen.items() if view != SENSORS[name][0]}
    assert not cropped, cropped
    return "; ".join(f"{name}: {show(size)}" for name, (size, _) in chosen.items())


CHECKS: tuple[Callable[[], str], ...] = (
    *(detected, configured, luma, timed, colored, sized, classified, stopped, released),
    *(busy, unallocated, missing, absent, silent, full_view),
)


# --- helpers ------------------------------------------------------------------------------------------------------


def take_frames(source: Iterator[Frame], count: int) -> list[Frame]:
    return list(islice(source, count))


def read_gray(path: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert image is not None, path
    return image.astype(np.uint8, copy=False)


def mean_difference(image: NDArray[np.uint8], other: NDArray[np.uint8] | None) -> float:
    """Return the mean absolute difference of two images, in gray levels."""
    assert other is not None
    return float(cv2.absdiff(image, other).mean())


def half_size(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = image.shape
    return cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def command(*arguments: str, before: str = "") -> list[str]:
    return [sys.executable, "-c", PROGRAM.format(before=before), *arguments]


def edge(*arguments: str, before: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `edge ARGUMENTS` to its end."""
    return subprocess.run(
        command(*arguments, before=before),
        capture_output=True,
        text=True,
        timeout=PROCESS_TIMEOUT_SECONDS,
        check=False,
        env=os.environ | variables,
    )


def failure(*arguments: str, expected: str, before: str = "", **variables: str) -> str:
    """Run `edge ARGUMENTS`, which must end with status 1 and one line of its own; return that line."""
    run = edge(*arguments, before=before, **variables)
    lines = [line for line in run.stderr.splitlines() if line.startswith("edge: ")]
    assert run.returncode == 1, (run.returncode, run.stderr)
    assert len(lines) == 1, run.stderr
    assert expected in lines[0], lines[0]
    assert "Traceback" not in run.stderr, run.stderr
    return f"`{lines[0]}`"


def mode(name: str, *, ours: bool) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the size and the field of view of the mode that picamera2 chooses for sensor `name`: with our
    configuration, or for 640x480 without a requested mode."""
    sensor, modes = SENSORS[name]
    picamera2 = adapt()
    picamera2._get_raw_modes = lambda _: [{"format": f"SRGGB{bits}_CSI2P", "size": size} for size, bits, _ in modes]
    picamera2.camera_properties = {"ColorFilterArrangement": 0, "PixelArraySize": sensor}
    camera = picamera2(0)
    without_mode = {"main": {"size": (640, 480), "format": "YUV420"}, "raw": None, "display": None, "encode": None}
    configuration = (
        picamera.make_configuration(camera, None) if ours else camera.create_video_configuration(**without_mode)
    )
    size = camera._make_libcamera_config(configuration).sensor_config.output_size
    camera.close()
    return (size.width, size.height), next(view for known, _, view in modes if known == (size.width, size.height))


# --- the table ----------------------------------------------------------------------------------------------------


def main() -> int:
    write_images()
    print(versions())
    print("\n| claim | result | s | |\n| --- | --- | --- | --- |", flush=True)
    passed = [report(check) for check in CHECKS]
    print(f"\n{sum(passed)} of {len(passed)} checks passed.")
    if not all(passed):
        return 1
    print(f"\n{views()}")
    return 0


def run_check(name: str) -> str | None:
    """Run one check in this process and print its result; return an error message if there is no such check."""
    names = {check.__name__: check for check in CHECKS}
    if name not in names:
        return f"no check {name!r}; there are {', '.join(names)}"
    if not IMAGES.exists():
        write_images()
    print(names[name]())
    return None


def report(check: Callable[[], str]) -> bool:
    """Run a check in its own process, print its line, and return whether it passed."""
    begin = time.monotonic()
    run = subprocess.run(
        [sys.executable, "-m", "tests.libcamera.check", check.__name__],
        capture_output=True,
        text=True,
        timeout=5 * PROCESS_TIMEOUT_SECONDS,
        check=False,
    )
    passed = run.returncode == 0
    output = (run.stdout if passed else run.stderr).strip().splitlines() or ["no output"]
    seconds = time.monotonic() - begin
    print(f"| {check.__doc__} | {output[-1]} | {seconds:.1f} | {'passed' if passed else '**failed**'} |", flush=True)
    if not passed:
        print(run.stderr, file=sys.stderr)
    return passed


def views() -> str:
    """Return the table of each module's field of view: picamera2's own choice for 640x480, and as configured."""
    lines = [
        "| Camera Module | mode for 640 x 480 | field of view | mode as configured | field of view |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, (sensor, _) in SENSORS.items():
        cells = [name]
        for ours in (False, True):
            size, view = mode(name, ours=ours)
            cells += [show(size), " x ".join(f"{part / side:.0%}" for part, side in zip(view, sensor, strict=True))]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def show(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


def versions() -> str:
    """Return the date and the versions."""
    query = ["dpkg-query", "--show", "--showformat", "${Version}", "python3-libcamera"]
    libcamera = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    parts = [f"{name} {metadata.version(name)}" for name in ("picamera2", "numpy", "opencv-python-headless")]
    system = Path("/etc/debian_version").read_text().strip()
    return (
        f"{datetime.now(UTC):%Y-%m-%d}: {', '.join(parts)}, libcamera {libcamera}, Python {platform.python_version()}, "
        f"Debian {system}, {platform.machine()}."
    )


if __name__ == "__main__":
    sys.exit(run_check(sys.argv[1]) if sys.argv[1:] else main())
