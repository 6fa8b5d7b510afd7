"""A campaign: many inputs at one or more doors, in steps that can be interrupted and continued.

The state is a JSON file: for each door and seed the next number, the outcomes so far, each failure with its number, and
the commits at which they were tried. Door, seed and number are enough to make a failed input again
(`python -m tests.fuzz DOOR --seed S --reproduce NUMBER`).
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from edge.system.atomic_file import atomic_write
from tests.fuzz.worker import ACCEPTED, CPU_SECONDS, REFUSED
from tests.support.paths import ROOT

HANG_SECONDS = 1800.0  # without an outcome: long, since a campaign runs behind all other processes
SAVE_SECONDS = 10.0  # between two writes of the state
MAX_FAILURES = 100  # of one door and seed that are kept with their numbers
_COLUMNS = ("door", "seed", "tried", "accepted", "refused", "failed", "CPU s", "slowest s", "MB", "commits")


@dataclass
class Tally:
    """What has come of the inputs of one door and seed."""

    next_number: int = 0
    accepted: int = 0
    refused: int = 0
    failed: int = 0
    cpu_seconds: float = 0.0
    slowest_seconds: float = 0.0  # of processor time, of one input
    growth_mb: float = 0.0  # the highest
    failures: list[dict[str, Any]] = field(default_factory=list)  # {"number": of the input, "outcome": what went wrong}
    commits: list[str] = field(default_factory=list)  # in the order of the inputs

    @property
    def tried(self) -> int:
        return self.accepted + self.refused + self.failed

    def add(self, number: int, outcome: str, seconds: float = 0.0, growth_mb: float = 0.0) -> None:
        self.next_number = number + 1
        self.accepted += outcome == ACCEPTED
        self.refused += outcome == REFUSED
        self.cpu_seconds = round(self.cpu_seconds + seconds, 4)
        self.slowest_seconds = max(self.slowest_seconds, seconds)
        self.growth_mb = max(self.growth_mb, growth_mb)
        if outcome not in (ACCEPTED, REFUSED):
            self.failed += 1
            if len(self.failures) < MAX_FAILURES:
                self.failures.append({"number": number, "outcome": outcome})


class Campaign:
    """The tallies of all doors and seeds, kept in the file `path`; None: in memory only."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._saved_at = 0.0
        self.tallies: dict[str, dict[str, Tally]] = {}
        if path is not None and path.exists():
            for name, seeds in json.loads(path.read_text()).items():
                self.tallies[name] = {seed: Tally(**values) for seed, values in seeds.items()}

    def tally(self, name: str, seed: int) -> Tally:
        """Return what has come of the inputs of the door `name` and `seed` so far."""
        return self.tallies.setdefault(name, {}).setdefault(str(seed), Tally())

    def run(self, name: str, seed: int, *, inputs: int | None = None, seconds: float | None = None) -> Tally:
        """Try more inputs at the door `name`, up to either limit, and return the tally of its `seed`."""
        tally = self.tally(name, seed)
        end = time.monotonic() + (float("inf") if seconds is None else seconds)
        last = float("inf") if inputs is None else tally.next_number + inputs
        commit = _commit()
        if tally.commits[-1:] != [commit]:
            tally.commits.append(commit)
        try:
            while tally.next_number < last and time.monotonic() < end:
                self._run_worker(name, seed, tally, last, end)
        finally:
            self.save()
        return tally

    def save(self) -> None:
        self._saved_at = time.monotonic()
        if self._path is not None:
            state = {
                name: {seed: asdict(tally) for seed, tally in seeds.items()} for name, seeds in self.tallies.items()
            }
            atomic_write(self._path, json.dumps(state, indent=1).encode())

    def table(self) -> str:
        """Return a Markdown table with a row for each door and seed, and below it each kind of failure."""
        rows, failures, total = [], [], 0
        for name, seeds in sorted(self.tallies.items()):
            for seed, tally in sorted(seeds.items()):
                total += tally.tried
                numbers = f"{tally.tried:,} | {tally.accepted:,} | {tally.refused:,} | {tally.failed:,}"
                costs = f"{tally.cpu_seconds:,.0f} | {tally.slowest_seconds:.2f} | {tally.growth_mb:.0f}"
                rows.append(f"| {name} | {seed} | {numbers} | {costs} | {', '.join(tally.commits)} |")
                kinds: dict[str, list[dict[str, Any]]] = {}
                for each in tally.failures:
                    kinds.setdefault(each["outcome"].partition(": ")[0], []).append(each)
                for first, *others in kinds.values():
                    more = f", and {len(others)} more of this kind" if others else ""
                    failures.append(f"{name}, seed {seed}, input {first['number']}: {first['outcome']}{more}")
        head = [f"| {' | '.join(_COLUMNS)} |", f"| --- |{' ---: |' * (len(_COLUMNS) - 2)} --- |"]
        return "\n".join([*head, *rows, "", f"{total:,} inputs", *failures])

    def _run_worker(self, name: str, seed: int, tally: Tally, last: float, end: float) -> None:
        """Collect outcomes of one process until a limit is reached, or it has ended."""
        command = [sys.executable, "-m", "tests.fuzz.worker", name, str(seed), str(tally.next_number)]
        with tempfile.TemporaryFile() as errors, _temporary_folder() as folder:
            environment = {**os.environ, "TMPDIR": folder}
            worker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, cwd=ROOT, env=environment)
            assert worker.stdout
            tried = False
            try:
                while tally.next_number < last and time.monotonic() < end:
                    if not select.select([worker.stdout], [], [], HANG_SECONDS)[0]:
                        tally.add(tally.next_number, f"no outcome within {HANG_SECONDS:g} s")
                        return
                    line = worker.stdout.readline()
                    if not line:
                        status = worker.wait()
                        if not tried and status > 0:  # an error of the door itself
                            raise RuntimeError(f"{name}: the worker ended with {status}: {_last_lines(errors)}")
                        tally.add(tally.next_number, _describe(status))
                        return
                    tally.add(**json.loads(line))
                    tried = True
                    if time.monotonic() - self._saved_at > SAVE_SECONDS:
                        self.save()
            finally:
                worker.kill()
                worker.communicate()


@contextmanager
def _temporary_folder() -> Iterator[str]:
    """Give a folder for what a worker leaves behind, which ends by a signal."""
    folder = tempfile.mkdtemp(prefix="fuzz-")
    try:
        yield folder
    finally:
        # Not by shutil: a door of file names may leave more folders in each other than Python can recurse.
        subprocess.run(["rm", "-rf", "--", folder], check=True)


def _commit() -> str:
    """Return the short hash of the commit that is tried, with a plus sign if files differ from it."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--exclude=*", "--dirty=+", "--abbrev=7"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


def _describe(status: int) -> str:
    """Return how a worker ended, by its exit status."""
    if -status == signal.SIGPROF:
        return f"more than {CPU_SECONDS:g} s of processor time"
    return f"crash: {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


def _last_lines(errors: IO[bytes]) -> str:
    errors.seek(0)
    return errors.read()[-2000:].decode(errors="replace")
