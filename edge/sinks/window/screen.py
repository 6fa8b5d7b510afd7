"""The program that draws: one process, one window. It is handed views and says what happens to it.

    python -m edge.sinks.registry.window.screen DESCRIPTOR

DESCRIPTOR is one end of a multiprocessing.Pipe(). When the other end goes, however it went, so does the window.
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

from edge.sinks.window.display import missing
from edge.sinks.window.messages import Closed, Drawn, Failed, Look, Opened, View
from edge.sinks.window.scene import Scene

# pygame and SDL read these when they are loaded.
os.environ["PYGAME_HIDE_SUPPORT_PROMPT"] = "1"
os.environ["SDL_NO_SIGNAL_HANDLERS"] = "1"
os.environ["SDL_VIDEO_X11_WMCLASS"] = os.environ["SDL_VIDEO_WAYLAND_WMCLASS"] = "emotion-edge"  # to the desktop

import pygame

FPS = 30.0  # views a second at most
STALE_SECONDS = 3.0  # without a view, after which none is shown: it is not true any more
WINDOW = 1280, 720  # pixels of a window that is not the full screen
NICENESS = 5  # the loop goes first
CONSOLE = "KMSDRM"  # SDL's driver for a screen without a desktop
NOWHERE = {"dummy", "offscreen"}  # SDL's drivers for no screen at all
TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


class Window:
    """The window, or the full screen. Raises pygame.error where there is none."""

    def __init__(self, look: Look) -> None:
        self._rotate = look.rotate
        pygame.display.init()
        if pygame.display.get_driver() in NOWHERE and "SDL_VIDEODRIVER" not in os.environ:
            raise pygame.error("No available video device")
        if pygame.display.get_driver() == CONSOLE:
            # With desktop OpenGL, SDL's first choice, the screen stayed black on Mesa's software driver.
            os.environ.setdefault("SDL_RENDER_DRIVER", "opengles2")
        pygame.display.set_caption("emotion-edge")
        pygame.display.set_allow_screensaver(False)
        if look.full_screen:
            self._surface = pygame.display.set_mode((0, 0), pygame.FULLSCREEN)
            pygame.mouse.set_visible(False)
        else:
            self._surface = pygame.display.set_mode(WINDOW[:: -1 if look.rotate in {90, 270} else 1], pygame.RESIZABLE)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, as one who looks at it sees it."""
        width, height = self._surface.get_size()
        return (height, width) if self._rotate in {90, 270} else (width, height)

    def show(self, image: NDArray[np.uint8]) -> None:
        """Show the (height, width, 3) RGB `image`, which has the window's size."""
        if self._rotate:
            image = np.asarray(cv2.rotate(image, TURNS[self._rotate]), np.uint8)
        height, width = image.shape[:2]
        self._surface.blit(pygame.image.frombuffer(image.data, (width, height), "RGB"), (0, 0))
        pygame.display.flip()

    def events(self) -> set[str]:
        """Return what has happened since: "closed", "resized"."""
        found = set()
        for event in pygame.event.get():
            if event.type == pygame.QUIT or (
                event.type == pygame.KEYDOWN and event.key in {pygame.K_ESCAPE, pygame.K_q}
            ):
                found.add("closed")
            elif event.type in {pygame.VIDEORESIZE, pygame.VIDEOEXPOSE}:
                found.add("resized")
        self._surface = pygame.display.get_surface() or self._surface
        return found


class Screen:
    """Shows what comes over `connection` until it ends."""

    def __init__(self, connection: Connection, look: Look, window: Window) -> None:
        self._connection, self._window = connection, window
        self._scene = Scene(look)
        self._view: View | None = None
        self._came = float("-inf")
        self._closed = False

    def run(self) -> None:
        """Show every view that comes, and say what happens, until the other end goes."""
        self._tell_size()
        self._draw()
        self._connection.send(Drawn())
        while True:
            if self._connection.poll(1 / FPS):
                self._take(self._connection.recv())
            elif self._view and time.monotonic() - self._came > STALE_SECONDS:
                self._view = None
                self._draw()
            self._look_at_events()

    def _take(self, view: View | None) -> None:
        """Draw `view`, and ask for the next one when it is time. Raises EOFError in the end."""
        if view is None:
            raise EOFError
        self._view, self._came = view, time.monotonic()
        self._draw()
        time.sleep(max(0.0, self._came + 1 / FPS - time.monotonic()))
        self._connection.send(Drawn())

    def _look_at_events(self) -> None:
        happened = self._window.events()
        if "closed" in happened and not self._closed:
            self._closed = True
            self._connection.send(Closed())
        if "resized" in happened:
            self._tell_size()
            self._draw()

    def _tell_size(self) -> None:
        self._connection.send(Opened(self._window.size))

    def _draw(self) -> None:
        self._window.show(self._scene.draw(self._view, self._window.size))


def main(descriptor: int) -> None:
    """Draw what comes over the connection with the file `descriptor`."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # they are the run's, which closes its end
    with suppress(OSError):  # a service may not be allowed to
        os.nice(NICENESS)
    with Connection(descriptor) as connection, suppress(EOFError, BrokenPipeError, ConnectionResetError):
        look = connection.recv()
        try:
            window = Window(look)
        except pygame.error as error:
            connection.send(Failed(missing(str(error))))
            return
        try:
            Screen(connection, look, window).run()
        except (pygame.error, cv2.error, ValueError) as error:
            connection.send(Failed(f"the screen cannot be drawn on ({error})"))


if __name__ == "__main__":
    main(int(sys.argv[1]))
