"""Count the instructions that `edge run` spends on a second of a camera. Runs on the emulated board, as root.

usage: python -m pi_vm.count_run "SCENE SOURCE"...      prints a line of JSON for each

    SCENE    of pi_vm.scenes
    SOURCE   yuyv, mjpeg: a USB camera of this format (cv2.VideoCapture is replaced by images in memory, which are
             converted as OpenCV converts those of a camera); luma: gray images, as the camera module delivers them

It is `edge run` itself: camera thread, loop, and the sink `jsonl` with its thread. Each frame is processed: the camera
waits for the loop where the board is too slow, and its timestamps are those of 30 frames per second. The images are
drawn before the count begins. All figures are user-space instructions per second, but `kernel` is the kernel's (the
real driver of a camera is missing in it), and `inferences` is their number per second.

    process     of all threads                          detect, crop, classify, smooth   stages of the loop
    loop        of Pipeline.process: the four stages    capture                          read, and decode
                and Python between them                 sinks                            in the loop's thread
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from types import SimpleNamespace
from typing import Any, Self
from unittest.mock import patch

import cv2
import numpy as np
from numpy.typing import NDArray

import edge.pipeline
from edge import app
from edge.capture import registry as cameras
from edge.capture import usb
from edge.config.settings import RunSettings
from edge.types import Frame, FrameResult
from pi_vm import scenes
from pi_vm.instructions import InstructionCounter, ThreadInstructions

FPS = 30
WARM_UP_FRAMES = 30  # the first calls allocate buffers, and the first frames search the whole image
COUNTED_FRAMES = 120  # four seconds: after these each tile of the image has been searched again
JPEG_QUALITY = 90
DEVICE = "/dev/null"  # stands for the camera's: only its existence is checked
STAGES = {  # method -> stage
    "edge.capture.encoded_frame:FrameDecoder.decode": "capture",
    "edge.pipeline:Pipeline.process": "loop",
    "edge.tracking.tracker:Tracker.update": "detect",
    "edge.inference.classifier:Classifier.prepare": "crop",
    "edge.inference.classifier:Classifier.classify": "classify",
    "edge.inference.smoothing:TemporalSmoother.plan": "smooth",
    "edge.inference.smoothing:TemporalSmoother.update": "smooth",
}


class Totals:
    """Adds up the instructions and the calls of each stage, from any thread. Made before the run starts threads."""

    def __init__(self) -> None:
        self._process = InstructionCounter(all_threads=True)
        self._kernel = InstructionCounter(all_threads=True, kernel=True)
        self.instructions: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self._here = ThreadInstructions()

    def counted(self, function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        """Return `function` with its instructions added to `stage`."""

        @functools.wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            start = self._here.read()
            try:
                return function(*arguments, **named)
            finally:
                self.instructions[stage] += self._here.read() - start
                self.calls[stage] += 1

        return call

    def count_methods(self) -> None:
        """Count each method of STAGES from now on. An older version of this project has not all of them."""
        for path, stage in STAGES.items():
            with suppress(ModuleNotFoundError):
                owner, method = find_method(path)
                setattr(owner, method, self.counted(getattr(owner, method), stage))

    def read(self) -> Counter[str]:
        """Return the instructions so far, of the process, of its kernel, and of each stage."""
        process = {"process": self._process.read(), "kernel": self._kernel.read()}
        return self.instructions + Counter(process | {"inferences": self.calls["classify"]})


def find_method(path: str) -> tuple[type, str]:
    """Return the class and the name of a method of STAGES."""
    module, _, name = path.partition(":")
    owner, _, method = name.partition(".")
    return getattr(importlib.import_module(module), owner), method


class Camera:
    """A camera of 30 frames per second that waits for the loop, and a sink that says when the loop is done.

    Args:
        images: (height, width, ...) uint8, or the bytes of an MJPEG image each.
        totals: read after the warm-up and at the end.
    """

    def __init__(self, images: Sequence[NDArray[np.uint8]], totals: Totals) -> None:
        self._images, self._totals = images, totals
        self._done = threading.Condition()
        self._processed = 0  # frames
        self._run_ended = False
        self._start = time.monotonic()
        self.index = -1  # of the frame that was taken last
        self.first: Counter[str] = Counter()
        self.last: Counter[str] = Counter()

    def take(self) -> NDArray[np.uint8]:
        """Return the next image when it is due and the loop has finished the one before, or the run has ended."""
        with self._done:
            self._done.wait_for(lambda: self._processed > self.index or self._run_ended)
        self.index += 1
        time.sleep(max(0.0, self._start + self.index / FPS - time.monotonic()))
        return self._images[min(self.index, len(self._images) - 1)]

    def clock(self) -> float:
        """Return the time of the frame that was taken last, in seconds of the monotonic clock."""
        return self._start + max(0, self.index) / FPS

    def frames(self, source: str) -> Iterator[Frame]:  # noqa: ARG002 (as of a camera)
        """Yield gray frames: a camera module's."""
        while True:
            gray = self.take().copy()
            yield Frame(gray, partial(np.repeat, gray[..., np.newaxis], 3, 2), self.index / FPS, self.index)

    def write(self, result: FrameResult) -> None:  # noqa: ARG002 (as of a sink)
        """Take note that the loop has finished a frame."""
        with self._done:
            self._processed += 1
            self._done.notify_all()
        if self._processed == WARM_UP_FRAMES:
            self.first = self._totals.read()
        elif self._processed == WARM_UP_FRAMES + COUNTED_FRAMES:
            self.last = self._totals.read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End the wait of the thread that takes the images."""
        with self._done:
            self._run_ended = True
            self._done.notify_all()


class Capture:
    """cv2.VideoCapture of a USB camera that has one format, as OpenCV's V4L2 backend behaves."""

    def __init__(self, camera: Camera, fourcc: str) -> None:
        self._camera, self._fourcc = camera, fourcc
        self._converts = True

    def set(self, name: int, value: float) -> bool:
        if name == cv2.CAP_PROP_CONVERT_RGB:
            self._converts = bool(value)
        return True

    def get(self, name: int) -> float:
        height, width = 480.0, 640.0
        known = {cv2.CAP_PROP_FRAME_WIDTH: width, cv2.CAP_PROP_FRAME_HEIGHT: height, cv2.CAP_PROP_FPS: float(FPS)}
        known[cv2.CAP_PROP_CONVERT_RGB] = float(self._converts)
        return float(cv2.VideoWriter.fourcc(*self._fourcc)) if name == cv2.CAP_PROP_FOURCC else known.get(name, 0.0)

    def isOpened(self) -> bool:  # noqa: N802 (OpenCV's name)
        return True

    def grab(self) -> bool:
        self._raw = self._camera.take()
        return True

    def retrieve(self) -> tuple[bool, NDArray[np.uint8]]:
        raw = self._raw
        if not self._converts:
            return True, raw.copy()
        if self._fourcc == "MJPG":
            return True, np.asarray(cv2.imdecode(raw, cv2.IMREAD_COLOR), np.uint8)
        return True, np.asarray(cv2.cvtColor(raw, cv2.COLOR_YUV2BGR_YUYV), np.uint8)

    def read(self) -> tuple[bool, NDArray[np.uint8]]:
        self.grab()
        return self.retrieve()

    def release(self) -> None:
        pass


def encode(gray: NDArray[np.uint8], source: str) -> NDArray[np.uint8]:
    """Return the image as a camera of this format sends it: (height, width, 2), or the bytes of a JPEG file."""
    if source == "mjpeg":
        sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422
        options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, *sampling]
        return np.asarray(cv2.imencode(".jpg", cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR), options)[1], np.uint8)
    return np.stack([gray, np.full_like(gray, 128)], axis=2) if source == "yuyv" else gray


def count(scene: str, source: str) -> dict[str, float]:
    """Return the figures of the head of this file."""
    frame_count = WARM_UP_FRAMES + COUNTED_FRAMES
    totals = Totals()
    totals.count_methods()
    camera = Camera([encode(gray, source) for gray in scenes.draw(scene, FPS, frame_count)], totals)
    make_frames = camera.frames if source == "luma" else usb.frames
    run_loop = edge.pipeline.run

    def frames(_: str) -> Iterator[Frame]:
        camera_frames = make_frames(DEVICE)
        advance = totals.counted(lambda: next(camera_frames, None), "capture")
        while (frame := advance()) is not None:
            yield frame

    def run(processor: Any, frames: Any, sinks: Sequence[Any], **limits: Any) -> Any:
        for sink in sinks:
            sink.write = totals.counted(sink.write, "sinks")
        return run_loop(processor, frames, [*sinks, camera], **limits)

    with ExitStack() as stack:
        for owner, name, value in (
            (cv2, "VideoCapture", lambda *_: Capture(camera, "MJPG" if source == "mjpeg" else "YUYV")),
            (usb, "time", SimpleNamespace(monotonic=camera.clock)),
            (cameras, "frames", frames),
            (cameras, "undecoded_frames", frames),
            (edge.pipeline, "run", run),
        ):
            stack.enter_context(patch.object(owner, name, value, create=True))
        stack.enter_context(camera)
        sinks = ("jsonl:/tmp/results.jsonl",)
        summary = app.run(RunSettings(source=f"usb:{DEVICE}", sinks=sinks, max_frames=frame_count))
    if not camera.last or summary.stats.skipped:
        raise SystemExit(f"{summary.stats.frames} frames, {summary.stats.skipped} skipped; expected {frame_count}, 0")
    camera.last.subtract(camera.first)
    return {name: value * FPS / COUNTED_FRAMES for name, value in sorted(camera.last.items())}


if __name__ == "__main__":
    for scene_and_source in sys.argv[1:]:
        # A process for each, because `count` replaces parts of the program; a fork, because imports are slow here.
        child = os.fork()
        if child == 0:
            print(json.dumps({scene_and_source: count(*scene_and_source.split())}), flush=True)
            os._exit(0)
        if status := os.waitpid(child, 0)[1]:
            raise SystemExit(f"{scene_and_source}: not counted; status {os.waitstatus_to_exitcode(status)}")
