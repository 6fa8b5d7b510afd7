"""Checks edge/capture/picamera.py and `edge run picamera` with real picamera2 on real libcamera's virtual camera.

usage: python3 -m tests.libcamera.check         run all, each in its own process, and print a table; 1 if one failed
       python3 -m tests.libcamera.check NAME    run one of them here, and print what was seen

Runs in the system that scripts/libcamera.sh makes. What a check promises is its docstring; it returns what was seen.
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
from edge.capture.synthetic import SyntheticScene
from edge.types import Box, Frame
from tests.libcamera.virtual import adapt

IMAGES = Path("/srv/emotion-edge-film")  # which the virtual camera films, named in virtual.yaml
SIZE = (1280, 960)
SHOWN, COUNT, RATE = "happy", 8, 20  # the face's emotion, how many images of it, and how many of them are a second
REDDISH = 60  # columns at the left border that are painted red, to see color by
PATIENCE = 60  # seconds for any process

# `edge` as installed, but for the camera; PROGRAM's {before} is what happens to the camera before.
PROGRAM = """
from tests.libcamera.virtual import adapt
Picamera2 = adapt()
{before}
from edge.cli import main
main()
"""
HELD = "held = Picamera2()"
# Of a camera that is cut off libcamera hands the requests back as cancelled, and picamera2 does not ask again.
CUT_OFF = """
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
# and the part of the sensor that is seen.
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


# What is filmed


def moments() -> Iterator[tuple[NDArray[np.uint8], Box]]:
    """Yield the images that are filmed, (height, width, 3) BGR, and where the face is in each."""
    stage = SyntheticScene(*SIZE)
    for number in range(COUNT):
        seconds = 3.0 * stage.emotions.index(SHOWN) + 0.5 + number / RATE
        image = np.repeat(stage.image(seconds)[..., np.newaxis], 3, axis=2)
        image[:, :REDDISH] = (60, 60, 200)
        yield image, stage.faces(seconds)[0].box


def film() -> None:
    """Write the images for the virtual camera."""
    IMAGES.mkdir(exist_ok=True)
    for number, (image, _) in enumerate(moments()):
        cv2.imwrite(str(IMAGES / f"{number}.jpg"), image)


# The checks


def found() -> str:
    """The camera is found without being opened"""
    adapt()
    number, words = picamera.present()
    assert number == "0", words
    return words


def configured() -> str:
    """It is configured once for the whole run: one large image, and one of half the size"""
    picamera2, cameras = adapt(), []
    begin = picamera2.__init__

    def opened(camera: Any, number: int) -> None:
        cameras.append(camera)
        begin(camera, number)

    picamera2.__init__ = opened
    with closing(picamera.frames("")) as source:
        take(source, 100)
        (camera,) = cameras
        times, streams = camera.configure_count, camera.camera_configuration()
    sizes = [streams[name]["size"] for name in ("main", "lores")]
    assert times == 1, times
    assert sizes == [SIZE, (640, 480)], sizes
    return f"{times} configuration: {', '.join(f'{width} x {height}' for width, height in sizes)}"


def luma() -> str:
    """Each frame's gray is the luma of an image that was filmed; the small one is the same view"""
    adapt()
    shown = [gray_of(path) for path in IMAGES.glob("*.jpg")]
    with closing(picamera.frames("")) as source:
        taken = take(source, 40)
    off = max(min(distance(frame.gray, image) for image in shown) for frame in taken)
    small = max(distance(halved(frame.gray), frame.search_image) for frame in taken)
    assert off < 0.5, off
    assert small < 2, small
    assert len({frame.gray.tobytes() for frame in taken}) == COUNT
    return f"{len(taken)} frames off by {off:.2f} gray levels a pixel at most, the small ones by {small:.2f}"


def timed() -> str:
    """Frames come one after the other, timed by libcamera"""
    adapt()
    with closing(picamera.frames("")) as source:
        taken = take(source, 60)
    times = [frame.time for frame in taken]
    assert [frame.index for frame in taken] == list(range(60))
    assert times[0] == 0
    assert all(later > sooner for sooner, later in pairwise(times)), times
    return f"60 frames in {times[-1]:.2f} s, each later than the one before"


def colored() -> str:
    """The color that a sink asks for is right"""
    adapt()
    with closing(picamera.frames("")) as source:
        image = take(source, 1)[0].color()
    blue, green, red = image[:, : REDDISH - 10].reshape(-1, 3).mean(axis=0)
    assert image.shape == (SIZE[1], SIZE[0], 3), image.shape
    assert min(red - blue, red - green) > 100, (blue, green, red)
    return f"painted blue 60, green 60, red 200; seen {blue:.0f}, {green:.0f}, {red:.0f}"


def sized() -> str:
    """A size that is asked for is had, and a small image is not made twice"""
    adapt()
    with closing(picamera.frames("0,size=640x480")) as source:
        frame = take(source, 1)[0]
    assert frame.gray.shape == (480, 640), frame.gray.shape
    assert frame.search_image is None
    return "640 x 480, nothing smaller"


def read() -> str:
    """`edge run picamera --max-frames 300 --sink jsonl` reads the face that is filmed, at its place, and ends by itself"""
    run = edge("run", "picamera", "--max-frames", "300", "--sink", "jsonl")
    assert run.returncode == 0, run.stderr
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    places = [box for _, box in moments()]
    faces = [face for line in lines for face in line["faces"]]
    right = [face for face in faces if any(Box(*face["box"]).iou(place) > 0.5 for place in places)]
    assert len(lines) == 300, len(lines)
    assert len(right) == len(faces) > 270, (len(right), len(faces))
    assert {face["id"] for face in faces} == {1}, faces
    assert faces[-1]["label"] == SHOWN, faces[-1]
    return (
        f"300 frames, {len(right)} readings, all at the face's place; at the end {SHOWN} {faces[-1]['confidence']:.0%}"
    )


def stopped() -> str:
    """SIGTERM ends a run with status 0, and the next process has the camera"""
    with subprocess.Popen(command("run", "picamera", "--sink", "jsonl"), stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        begin = time.monotonic()
        process.terminate()
        process.communicate(timeout=PATIENCE)
        seconds = time.monotonic() - begin
    again = edge("run", "picamera", "--max-frames", "10", "--sink", "jsonl")
    assert (process.returncode, again.returncode) == (0, 0), again.stderr
    assert seconds < 3, seconds  # a third of one, on a machine that has nothing else to do
    return f"ended after {seconds:.2f} s; then 10 frames in another process"


def released() -> str:
    """Closed, it can be opened again in the same process, and no descriptor stays behind"""
    adapt()
    counts = []
    for _ in range(4):
        with closing(picamera.frames("")) as source:
            take(source, 5)
        gc.collect()  # picamera2's parts hold each other
        counts.append(descriptors())
    assert len(set(counts)) == 1, counts
    return f"opened 4 times; {counts[-1]} descriptors after each"


def taken() -> str:
    """A camera that is taken: one line that says so, status 1"""
    return failure("run", "picamera", before=HELD, expected="cannot be opened (Failed to acquire camera: Device or")


def unallocated() -> str:
    """A start that fails, for want of memory for images: libcamera's reason, status 1"""
    return failure("run", "picamera", expected="picamera:0: cannot be opened (", DMA_HEAP_IS_FULL="yes")


def missing() -> str:
    """A module that is not there: how many there are, status 1"""
    return failure("run", "picamera:1", expected="picamera:1: 1 modules found; check the ribbon cable")


def absent() -> str:
    """No module at all: likewise"""
    nothing = {"LIBCAMERA_PIPELINES_MATCH_LIST": "simple"}
    return failure("run", "picamera", expected="picamera:0: 0 modules found; check the ribbon cable", **nothing)


def silent() -> str:
    """A camera that is cut off and falls silent: one line after 2 s, status 1, and closing it hangs nowhere"""
    begin = time.monotonic()
    words = failure("run", "picamera", before=CUT_OFF, expected="picamera: the camera stopped delivering after")
    seconds = time.monotonic() - begin
    assert seconds < 10, seconds
    return f"{words} (after {seconds:.1f} s in all)"


def whole() -> str:
    """picamera2 chooses a mode that sees all of the sensor, for each of Raspberry Pi's modules"""
    chosen = {name: mode(name, ours=True) for name in SENSORS}
    bad = {name: seen for name, (_, seen) in chosen.items() if seen != SENSORS[name][0]}
    assert not bad, bad
    return "; ".join(f"{name}: {show(size)}" for name, (size, _) in chosen.items())


CHECKS: tuple[Callable[[], str], ...] = (
    *(found, configured, luma, timed, colored, sized, read, stopped, released),
    *(taken, unallocated, missing, absent, silent, whole),
)


# What they need


def take(source: Iterator[Frame], count: int) -> list[Frame]:
    return list(islice(source, count))


def gray_of(path: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert image is not None, path
    return image.astype(np.uint8, copy=False)


def distance(image: NDArray[np.uint8], other: NDArray[np.uint8] | None) -> float:
    """Return by how many gray levels two images differ, a pixel, on the average."""
    assert other is not None
    return float(cv2.absdiff(image, other).mean())


def halved(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = image.shape
    return cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def command(*arguments: str, before: str = "") -> list[str]:
    return [sys.executable, "-c", PROGRAM.format(before=before), *arguments]


def edge(*arguments: str, before: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `edge ARGUMENTS` to its end."""
    return subprocess.run(
        command(*arguments, before=before),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env=os.environ | variables,
    )


def failure(*arguments: str, expected: str, before: str = "", **variables: str) -> str:
    """Run `edge ARGUMENTS`, which has to end with status 1 and one line of ours; return that line."""
    run = edge(*arguments, before=before, **variables)
    ours = [line for line in run.stderr.splitlines() if line.startswith("edge: ")]
    assert run.returncode == 1, (run.returncode, run.stderr)
    assert len(ours) == 1, run.stderr
    assert expected in ours[0], ours[0]
    assert "Traceback" not in run.stderr, run.stderr
    return f"`{ours[0]}`"


def mode(name: str, *, ours: bool) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the size that picamera2 has sensor `name` deliver, and how many of its pixels it sees; for our
    configuration, or for an image of 640x480 and nothing said of the sensor."""
    sensor, modes = SENSORS[name]
    picamera2 = adapt()
    picamera2._get_raw_modes = lambda _: [{"format": f"SRGGB{bits}_CSI2P", "size": size} for size, bits, _ in modes]
    picamera2.camera_properties = {"ColorFilterArrangement": 0, "PixelArraySize": sensor}
    camera = picamera2(0)
    plain = {"main": {"size": (640, 480), "format": "YUV420"}, "raw": None, "display": None, "encode": None}
    configuration = picamera._configuration(camera, None) if ours else camera.create_video_configuration(**plain)
    size = camera._make_libcamera_config(configuration).sensor_config.output_size
    camera.close()
    return (size.width, size.height), next(seen for known, _, seen in modes if known == (size.width, size.height))


# The table


def main() -> int:
    film()
    print(versions())
    print("\n| what is promised | what was seen | s | |\n| --- | --- | --- | --- |", flush=True)
    good = [report(check) for check in CHECKS]
    print(f"\n{sum(good)} of {len(good)} hold.")
    if not all(good):
        return 1
    print(f"\n{views()}")
    return 0


def alone(name: str) -> str | None:
    """Run one check and print what was seen; return what is wrong where there is no such check."""
    names = {check.__name__: check for check in CHECKS}
    if name not in names:
        return f"no check {name!r}; there are {', '.join(names)}"
    if not IMAGES.exists():
        film()
    print(names[name]())
    return None


def report(check: Callable[[], str]) -> bool:
    """Run a check in a process of its own and print its line."""
    begin = time.monotonic()
    run = subprocess.run(
        [sys.executable, "-m", "tests.libcamera.check", check.__name__],
        capture_output=True,
        text=True,
        timeout=5 * PATIENCE,
        check=False,
    )
    good = run.returncode == 0
    said = (run.stdout if good else run.stderr).strip().splitlines() or ["nothing"]
    seconds = time.monotonic() - begin
    print(f"| {check.__doc__} | {said[-1]} | {seconds:.1f} | {'holds' if good else '**FAILS**'} |", flush=True)
    if not good:
        print(run.stderr, file=sys.stderr)
    return good


def views() -> str:
    """Return the table of what each module sees at 640x480 by picamera2's own choice, and as it is configured here."""
    lines = [
        "| Camera Module | mode for 640 x 480 | it sees | mode for ours | it sees |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, (sensor, _) in SENSORS.items():
        cells = [name]
        for ours in (False, True):
            size, seen = mode(name, ours=ours)
            cells += [show(size), " x ".join(f"{part / side:.0%}" for part, side in zip(seen, sensor, strict=True))]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def show(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


def versions() -> str:
    """Return the day, and what was put together."""
    query = ["dpkg-query", "--show", "--showformat", "${Version}", "python3-libcamera"]
    libcamera = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    parts = [f"{name} {metadata.version(name)}" for name in ("picamera2", "numpy", "opencv-python-headless")]
    system = Path("/etc/debian_version").read_text().strip()
    return (
        f"{datetime.now(UTC):%Y-%m-%d}: {', '.join(parts)}, libcamera {libcamera}, Python {platform.python_version()}, "
        f"Debian {system}, {platform.machine()}."
    )


if __name__ == "__main__":
    sys.exit(alone(sys.argv[1]) if sys.argv[1:] else main())
