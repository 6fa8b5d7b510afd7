"""Which display is available, without opening it."""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

GRAPHICS_CARDS, X_SOCKETS = Path("/dev/dri"), Path("/tmp/.X11-unix")  # noqa: S108 (the X server's own directory)
CONNECT_TIMEOUT_SECONDS = 0.1  # of a local socket, which accepts at once or not at all


def is_available(environment: Mapping[str, str] = os.environ, cards: Path = GRAPHICS_CARDS) -> bool:
    """Return whether opening a window may succeed: a display's socket accepts, or there is a graphics card.

    Takes less than a millisecond. A display on another machine counts as available: asking it would take longer.
    """
    if sys.platform != "linux":  # its desktop is always there
        return True
    address = environment.get("DISPLAY", "")
    local = re.fullmatch(r":(\d+)(\.\d+)?", address)
    if address and not local:
        return True
    wayland = environment.get("WAYLAND_DISPLAY")
    sockets = [X_SOCKETS / f"X{local[1]}"] if local else []
    sockets += [Path(environment.get("XDG_RUNTIME_DIR", "/"), wayland)] if wayland else []
    for path in sockets:
        with socket.socket(socket.AF_UNIX) as connection, suppress(OSError):
            connection.settimeout(CONNECT_TIMEOUT_SECONDS)
            connection.connect(str(path))
            return True
    return not sockets and any(cards.glob("card*"))


def describe_failure(error: str, environment: Mapping[str, str] = os.environ, cards: Path = GRAPHICS_CARDS) -> str:
    """Return in one line why no window can be opened and what to do; `error` is SDL's message."""
    variables = [f"${name}={environment[name]}" for name in ("DISPLAY", "WAYLAND_DISPLAY") if environment.get(name)]
    if variables:
        return f"no display at {', '.join(variables)} ({error}); is the desktop running, and may this user draw on it?"
    if found := sorted(map(str, cards.glob("card*"))):
        needs = "a console needs a connected screen, the groups video and render, and Mesa: see docs/window.md"
        return f"no desktop, and cannot draw on {', '.join(found)} ({error}); {needs}"
    reason = "neither $DISPLAY nor $WAYLAND_DISPLAY is set, and there is no /dev/dri/card*"
    return f"no display: {reason}; start it in a desktop session, or see docs/window.md for a console"
