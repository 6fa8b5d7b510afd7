"""Which display there is, found out without opening it."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path

CARDS, X_SOCKETS = Path("/dev/dri"), Path("/tmp/.X11-unix")  # noqa: S108 (X's own place)
ANSWER_SECONDS = 0.1  # a local socket answers at once or not at all


def answers(environment: Mapping[str, str] = os.environ, cards: Path = CARDS) -> bool:
    """Return whether it is worth while to open a window: a display's socket answers, or there is a graphics card.

    Takes less than a millisecond; of a display on another machine nothing can be said so quickly, so it counts.
    """
    address = environment.get("DISPLAY", "")
    local = re.fullmatch(r":(\d+)(\.\d+)?", address)
    if address and not local:
        return True
    waylands = Path(environment.get("XDG_RUNTIME_DIR", "/"), environment.get("WAYLAND_DISPLAY", ""))
    sockets = [X_SOCKETS / f"X{local[1]}"] if local else []
    sockets += [waylands] if environment.get("WAYLAND_DISPLAY") else []
    return any(map(_accepts, sockets)) if sockets else bool(_cards(cards))


def missing(error: str, environment: Mapping[str, str] = os.environ, cards: Path = CARDS) -> str:
    """Return why there is no screen and what to do, in one line, where SDL says `error`."""
    named = [f"${name}={environment[name]}" for name in ("DISPLAY", "WAYLAND_DISPLAY") if environment.get(name)]
    if named:
        return f"no screen at {', '.join(named)} ({error}); is the desktop running, and may this user draw on it?"
    if found := _cards(cards):
        need = "a console needs a connected screen, the groups video and render, and Mesa: docs/window.md says more"
        return f"no desktop, and {', '.join(found)} cannot be drawn on ({error}); {need}"
    what = "neither $DISPLAY nor $WAYLAND_DISPLAY is set, and there is no /dev/dri/card*"
    return f"no screen: {what}; start it in a desktop session, or see docs/window.md for a console"


def _cards(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.glob("card*"))


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as way:
        way.settimeout(ANSWER_SECONDS)
        try:
            way.connect(str(path))
        except OSError:
            return False
    return True
