"""Lines for people on stderr, with the priority that systemd's journal reads where stderr is its stream.

A line that begins with `<3>` is an error to the journal, `journalctl -p err` shows it; see sd-daemon(3). Anywhere else,
on a terminal or in a file, lines are as they are.
"""

from __future__ import annotations

import os
import sys

ERROR, WARNING, NOTICE, INFO = 3, 4, 5, 6  # syslog(3)


def say(text: str, priority: int = INFO) -> None:
    """Print `text` to stderr; each of its lines has the `priority`, 0 to 7, where the journal reads it."""
    mark = f"<{priority}>" if listens() else ""
    # In one piece: the camera's thread says things too.
    sys.stderr.write("".join(f"{mark}{line}\n" for line in text.splitlines()))
    sys.stderr.flush()


def listens() -> bool:
    """Return whether stderr goes to the journal: $JOURNAL_STREAM names its device and inode, see systemd.exec(5).

    The variable alone says nothing: a process whose stderr is sent elsewhere has it all the same.
    """
    stream = os.environ.get("JOURNAL_STREAM")
    if not stream:
        return False
    try:
        about = os.fstat(2)
    except OSError:  # closed
        return False
    return stream == f"{about.st_dev}:{about.st_ino}"
