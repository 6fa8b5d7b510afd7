"""A progress bar on the terminal's standard error for a run over files: share, time left, frames per second, faces."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from edge.types import FrameResult

if TYPE_CHECKING:
    from rich.progress import Progress

UPDATES_PER_SECOND = 4.0
MAX_NAME_CHARACTERS = 24  # of a file's name; the bar takes the rest of the line


def has_room(sinks: Sequence[str]) -> bool:
    """Return whether a bar can be shown: on a terminal that none of the sinks, as specified by the user, writes to."""
    writes_output = any(spec in ("console", "jsonl") for spec in sinks)
    return sys.stderr.isatty() and not (writes_output and sys.stdout.isatty())


class ProgressBar:
    """A bar that is removed at the end. Log messages are shown above it."""

    def __init__(self) -> None:
        self._faces: set[int] = set()
        self._progress: Progress | None = None

    def __enter__(self) -> Self:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.fields[name]}", markup=False),
            BarColumn(None),
            TextColumn("{task.percentage:3.0f} %", markup=False),
            TextColumn("{task.fields[fps]:.0f} fps  faces: {task.fields[faces]}", markup=False),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            refresh_per_second=UPDATES_PER_SECOND,
            transient=True,
            redirect_stdout=False,
            expand=True,
        )
        self._progress.add_task("", total=1.0, name="", fps=0.0, faces=0)
        self._progress.start()
        return self

    def write(self, result: FrameResult) -> None:
        """Show the place of `result` in the files."""
        self._faces.update(face.track_id for face in result.faces)
        if result.frame.file is not None:
            self.show(result.frame.source_name, result.frame.file.share, result.stats.fps)

    def show(self, name: str, share: float, fps: float) -> None:
        """Show the file in progress, the share of all files that has been read, 0 to 1, and the frames per second."""
        assert self._progress is not None
        (task,) = self._progress.task_ids
        self._progress.update(task, completed=share, name=name[-MAX_NAME_CHARACTERS:], fps=fps, faces=len(self._faces))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()
