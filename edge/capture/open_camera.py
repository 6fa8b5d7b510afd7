"""Opens a camera for a run: the frames that the loop gets, also while the camera is absent, and after it was lost."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from threading import Event

from edge.capture import registry
from edge.capture.latest_frame import LatestFrame
from edge.capture.reconnecting import Frames, ReconnectingCamera
from edge.errors import CameraError
from edge.types import Frame

_log = logging.getLogger(__name__)


def open_camera(
    source: str, reconnect: bool, stopped: Callable[[], bool], report_wait: Callable[[str], object]
) -> AbstractContextManager[Iterator[Frame]]:
    """Return the frames of a camera, of a live one the newest; entering opens it, leaving closes it.

    Args:
        source: empty, with `reconnect`: the camera that is connected when it is opened.
        reconnect: wait for a camera that is absent, in use or lost, instead of raising CameraError.
        stopped: asked while no frame comes; ends the frames if true.
        report_wait: called again and again with the reason while the camera is waited for.
    """
    if source and not registry.is_live(source):  # synthetic:fast, which waits for the loop
        return closing(registry.frames(source))
    if not reconnect:
        return LatestFrame(registry.undecoded_frames(source), stopped)
    return _reconnecting(source, stopped, report_wait)


@contextmanager
def _reconnecting(
    source: str, stopped: Callable[[], bool], report_wait: Callable[[str], object]
) -> Iterator[LatestFrame]:
    left = Event()  # a run may end without `stopped`: the thread that waits for the camera ends all the same

    def log_change(message: str, is_problem: bool) -> None:
        _log.log(logging.WARNING if is_problem else logging.INFO, "edge: %s", message)

    camera = ReconnectingCamera(CameraOpener(source), log_change, lambda: left.is_set() or stopped())

    def is_waiting() -> bool:
        reason = camera.wait_reason
        if reason is not None:
            report_wait(reason)
        return reason is not None

    with LatestFrame(camera.frames(), stopped, is_waiting) as frames:
        try:
            yield frames
        finally:
            left.set()


class CameraOpener:
    """Opens `source`, or if that is empty the camera that is connected at the time of the call."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._logged: set[str] = set()

    def __call__(self) -> tuple[Frames, bool]:
        """Return the frames, and whether the camera can be opened again in this process. Raises CameraError."""
        if self._source:
            return registry.undecoded_frames(self._source), registry.can_reconnect(self._source)
        source, reason = registry.detect_source()
        if source == "synthetic":
            raise CameraError(reason)
        if source not in self._logged:
            self._logged.add(source)
            _log.info("source: %s (%s)", source, reason)
        return registry.undecoded_frames(source), registry.can_reconnect(source)
