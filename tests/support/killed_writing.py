"""Kills processes that write to a sink with SIGKILL, each at another line of the code, and starts them again.

    python -m tests.support.killed_writing SPEC FOLDER KILLS

Folder 0, 1, 2 ... of FOLDER is where a process was killed, and another one has written since; `killed` has copies of
these folders from in between. The lines at which processes are killed are spread evenly over all that are run in
edge/sinks and edge/system, so the result depends on no clock. Prints how many lines that are.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import patch

from edge.sinks import daylog, registry
from edge.sinks.background_writer import BackgroundWriter
from edge.types import RunInfo
from tests.support.fakes import face_result, frame_result

FRAMES = 12
PART_BYTES = 10  # of one write, as on a disk or a FIFO that takes no more: a process can be killed within a line
TRACED = ("/edge/sinks/", "/edge/system/")


def make_writer(name: str, work: Callable[[Any], object], *, live: bool, **named: Any) -> BackgroundWriter[Any]:
    """Return a writer that does its work in `put`, as in a run that is not live."""
    return BackgroundWriter(name, work, live=False, **named)


def write(spec: str, kill_at: int) -> int:
    """Write FRAMES frames to the sink of `spec` in the working folder, and return how many lines were run.

    Args:
        kill_at: number of the line before which this process is killed; -1: none.
    """
    lines = count(1)
    last = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal last
        if not any(folder in frame.f_code.co_filename for folder in TRACED):
            return None
        if event == "line":
            last = next(lines)
            if last == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    write_all = os.write
    os.write = lambda file, content: write_all(file, bytes(content)[:PART_BYTES])
    daylog.WRITE_INTERVAL_SECONDS = 1e-9  # type: ignore[assignment] # each frame is written
    live = spec.startswith("daylog:")
    threading.settrace(trace)
    sys.settrace(trace)
    try:
        # Without its thread: on a busy machine that would write several frames at once, in fewer lines of code.
        with patch.object(daylog, "BackgroundWriter", make_writer), registry.find(spec)(RunInfo(live=live)) as sink:
            for index in range(FRAMES):
                name = "" if live else "a.mp4"
                sink.write(
                    frame_result(face_result(), time=index / 10, index=index, level=20 * index, source_name=name)
                )
    finally:
        sys.settrace(None)
        threading.settrace(None)
    return last


def run(spec: str, folder: Path, kill_at: int) -> int:
    """Call `write` in a process of its own in `folder`, and return its exit status."""
    process = os.fork()
    if not process:
        status = 1
        try:
            os.chdir(folder)
            lines = write(spec, kill_at)
            if kill_at < 0:
                Path("lines").write_text(str(lines))
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def main() -> None:
    spec, folder, kills = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    whole = folder / "whole"
    whole.mkdir()
    assert run(spec, whole, -1) == 0
    lines = int((whole / "lines").read_text())
    for number in range(kills):
        place = folder / str(number)
        place.mkdir()
        status = run(spec, place, 1 + number * lines // kills)
        assert status == -signal.SIGKILL, status
        shutil.copytree(place, folder / "killed" / str(number))
        again = spec.replace("out.", "again.") if "video:" in spec else spec
        assert run(again, place, -1) == 0
    print(lines)


if __name__ == "__main__":
    main()
