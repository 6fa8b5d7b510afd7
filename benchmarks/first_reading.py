"""Measure how long a newcomer waits for the first reading: after `git clone`, and after `pip install WHEEL`.

Both are run as the documentation says, each in a new folder, with the package caches of this user as they are: the
first run on a machine fills them, and --runs 2 shows both. The camera is the synthetic one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.common import make_parser

ROOT = Path(__file__).parents[1]
LIMIT_SECONDS = {"git clone": 60, "pip install": 30}
READING = b'"label"'  # in the first line that has a face


class Wait(NamedTuple):
    seconds: float  # that passed
    processor_seconds: (
        float  # of all processes: on a machine that does nothing else, at most that many pass on one core
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser("first_reading", __doc__)
    parser.add_argument("--runs", type=int, default=1, help="of each way")
    runs = parser.parse_args(arguments).runs
    for _ in range(runs):
        for name, wait in (("git clone", wait_after_clone()), ("pip install", wait_after_install())):
            print(
                f"{name:12} {wait.seconds:5.1f} s to the first reading, {wait.processor_seconds:.1f} s of processor "
                f"time (at most {LIMIT_SECONDS[name]} s wanted)"
            )


def wait_after_clone() -> Wait:
    """Return the wait from cloning this checkout's commit to the first reading of scripts/run.sh."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder, "emotion-edge")
        run = [str(clone / "scripts/run.sh"), "synthetic", "--sink", "jsonl"]
        return measure([["git", "clone", "--quiet", str(ROOT), str(clone)], run])


def wait_after_install() -> Wait:
    """Return the wait from `pip install` of a wheel of this checkout, in a new environment, to the first reading."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python = str(folder / "env/bin/python")
        subprocess.run([sys.executable, "-m", "venv", str(folder / "env")], check=True)
        wheel_command = [python, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", name, str(ROOT)]
        subprocess.run(wheel_command, check=True)
        (wheel,) = folder.glob("*.whl")
        install = [python, "-m", "pip", "install", "--quiet", str(wheel)]
        return measure([install, [str(folder / "env/bin/edge"), "run", "synthetic", "--sink", "jsonl"]])


def measure(commands: Sequence[Sequence[str]]) -> Wait:
    """Run `commands` one after the other, and return how long it took until the last one has printed a reading.

    Raises SystemExit if one fails or prints none.
    """
    begin, before = time.perf_counter(), os.times()
    for command in commands[:-1]:
        subprocess.run(command, check=True)
    with subprocess.Popen(commands[-1], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        found = any(READING in line for line in process.stdout)
        seconds = time.perf_counter() - begin
        process.terminate()
        errors = process.stderr.read().decode(errors="replace")
    after = os.times()
    if not found:
        sys.exit(f"first_reading: {' '.join(commands[-1])} printed no reading: {errors}")
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    return Wait(seconds, processor)


if __name__ == "__main__":
    main()
