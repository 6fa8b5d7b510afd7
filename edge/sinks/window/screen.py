"""The program that draws: one process with one window.

    python -m edge.sinks.window.screen DESCRIPTOR

DESCRIPTOR is the file descriptor of one end of a multiprocessing.Pipe(), see messages.py. When the other end is closed,
for whatever reason, the program ends.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from multiprocessing.connection import Connection

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.sinks.window.display import describe_failure
from edge.sinks.window.messages import (
    CloseRequested,
    DisplayFailed,
    DisplayFrame,
    DisplayOptions,
    FrameRequested,
    SizeChanged,
)
from edge.sinks.window.scene import SceneRenderer

# pygame and SDL read these when they are loaded.
os.environ["PYGAME_HIDE_SUPPORT_PROMPT"] = "1"
os.environ["SDL_NO_SIGNAL_HANDLERS"] = "1"
os.environ["SDL_VIDEO_X11_WMCLASS"] = os.environ["SDL_VIDEO_WAYLAND_WMCLASS"] = "emotion-edge"  # shown by the desktop

import pygame

MAX_FPS = 30.0
STALE_FRAME_SECONDS = 3.0  # without a new frame, after which the last one is no longer shown
WINDOW_SIZE = 1280, 720  # pixels, unless it is the full screen
NICENESS = 5  # the loop has priority
CONSOLE_DRIVER = "KMSDRM"  # SDL's, for a screen without a desktop
HEADLESS_DRIVERS = {"dummy", "offscreen"}  # SDL's
ROTATIONS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


class Window:
    """The window, or the full screen. Raises pygame.error if it cannot be opened."""

    def __init__(self, options: DisplayOptions) -> None:
        self._rotate = options.rotate
        pygame.display.init()
        if pygame.display.get_driver() in HEADLESS_DRIVERS and "SDL_VIDEODRIVER" not in os.environ:
            raise pygame.error("No available video device")
        if pygame.display.get_driver() == CONSOLE_DRIVER:
            # With desktop OpenGL, SDL's first choice, the screen stayed black on Mesa's software driver.
            os.environ.setdefault("SDL_RENDER_DRIVER", "opengles2")
        pygame.display.set_caption("emotion-edge")
        pygame.display.set_allow_screensaver(False)
        if options.full_screen:
            self._surface = pygame.display.set_mode((0, 0), pygame.FULLSCREEN)
            pygame.mouse.set_visible(False)
        else:
            size = WINDOW_SIZE[::-1] if self._swaps_sides else WINDOW_SIZE
            self._surface = pygame.display.set_mode(size, pygame.RESIZABLE)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, after rotation."""
        width, height = self._surface.get_size()
        return (height, width) if self._swaps_sides else (width, height)

    @property
    def _swaps_sides(self) -> bool:
        return self._rotate in {90, 270}

    def show(self, image: NDArray[np.uint8]) -> None:
        """Show `image`, (height, width, 3) RGB of the window's size."""
        if self._rotate:
            image = np.asarray(cv2.rotate(image, ROTATIONS[self._rotate]), np.uint8)
        height, width = image.shape[:2]
        self._surface.blit(pygame.image.frombuffer(image.data, (width, height), "RGB"), (0, 0))
        pygame.display.flip()

    def poll_events(self) -> set[str]:
        """Return what happened since the last call: any of "closed" and "resized"."""
        events = set()
        for event in pygame.event.get():
            if event.type == pygame.QUIT or (
                event.type == pygame.KEYDOWN and event.key in {pygame.K_ESCAPE, pygame.K_q}
            ):
                events.add("closed")
            elif event.type in {pygame.VIDEORESIZE, pygame.VIDEOEXPOSE}:
                events.add("resized")
        self._surface = pygame.display.get_surface() or self._surface
        return events


class DisplayLoop:
    """Shows the frames that come over `connection` until its other end is closed."""

    def __init__(self, connection: Connection, options: DisplayOptions, window: Window) -> None:
        self._connection, self._window = connection, window
        self._renderer = SceneRenderer(options)
        self._frame: DisplayFrame | None = None

    def run(self) -> None:
        """Show each frame and send events. Returns, or raises EOFError, when the run has ended."""
        received_at, close_requested = float("-inf"), False
        self._connection.send(SizeChanged(self._window.size))
        self._draw()
        self._connection.send(FrameRequested())
        while True:
            if self._connection.poll(1 / MAX_FPS):
                self._frame, received_at = self._connection.recv(), time.monotonic()
                if self._frame is None:
                    return
                self._draw()
                time.sleep(max(0.0, received_at + 1 / MAX_FPS - time.monotonic()))
                self._connection.send(FrameRequested())
            elif self._frame and time.monotonic() - received_at > STALE_FRAME_SECONDS:
                self._frame = None
                self._draw()
            events = self._window.poll_events()
            if "closed" in events and not close_requested:
                close_requested = True
                self._connection.send(CloseRequested())
            if "resized" in events:
                self._connection.send(SizeChanged(self._window.size))
                self._draw()

    def _draw(self) -> None:
        self._window.show(self._renderer.draw(self._frame, self._window.size))


def main(descriptor: int) -> None:
    """Open a window, and show in it what comes over the connection with the file `descriptor`."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the run handles them, and then closes its end of the connection
    if sys.platform != "win32":
        with suppress(OSError):  # not permitted to some services
            os.nice(NICENESS)
    with Connection(descriptor) as connection, suppress(EOFError, BrokenPipeError, ConnectionResetError):
        options = connection.recv()
        try:
            window = Window(options)
        except pygame.error as error:
            connection.send(DisplayFailed(describe_failure(str(error))))
            return
        try:
            DisplayLoop(connection, options, window).run()
        except (pygame.error, cv2.error, ValueError) as error:
            connection.send(DisplayFailed(f"cannot draw on the display ({error})"))


if __name__ == "__main__":
    main(int(sys.argv[1]))
