"""What viewers of the page cost the loop: measured without and with them, in turn.

    .venv-test/bin/python benchmarks/web_load.py [--viewers 50] [--rounds 3] [--duration 10]

Each round runs `edge run synthetic` (30 frames a second, 640 x 480) four times: without the output `web`, with it and
nobody there, with viewers of its events, and of events and the camera's image. A third of the viewers read as fast as
they can, a third a little at a time, a third nothing at all. Viewers are one process of their own. Told are, as the
median of the rounds, the frames a second, the processor's time of `edge run` and its viewers', and the ratio to the run
without. A loop of 30 frames a second that has time to spare loses none, so `--source synthetic:fast` takes as many
frames as it can: that shows what is taken from a loop that has no time to spare. On a machine that others use, too,
trust the processor's time for a frame (ms/frame, the start-up in it) more than the frames a second.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import select
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

EDGE = Path(sys.executable).with_name("edge")
SLOW_BYTES, SLOW_SECONDS = 2048, 0.25  # what a slow viewer takes at a time: 8 kB a second
KINDS = ("without web", "web, nobody", "events", "events and image")


class Cost(NamedTuple):
    fps: float
    cpu: float  # of one core, in percent
    viewers_cpu: float  # likewise
    received: float  # MB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--viewers", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--duration", type=float, default=10.0)
    parser.add_argument("--source", default="synthetic")
    told = parser.parse_args()
    found: dict[str, list[Cost]] = {kind: [] for kind in KINDS}
    for number in range(told.rounds):
        for kind in KINDS:
            found[kind].append(measure(kind, told.source, told.viewers, told.seconds))
            print(f"round {number + 1} of {told.rounds}: {kind}: {found[kind][-1].fps:.1f} frames/s", file=sys.stderr)
    print(f"{told.source}, {told.viewers} viewers, {told.rounds} rounds of {told.seconds:g} s, medians")
    print(f"{'':20} {'frames/s':>8} {'ratio':>6} {'CPU %':>6} {'ms/frame':>8} {'viewers %':>9} {'MB taken':>8}")
    base = statistics.median(cost.fps for cost in found[KINDS[0]])
    for kind, costs in found.items():
        fps, cpu, viewers, taken = (statistics.median(values) for values in zip(*costs, strict=True))
        each = statistics.median(10 * cost.cpu / cost.fps for cost in costs)
        print(f"{kind:20} {fps:8.2f} {fps / base:6.3f} {cpu:6.1f} {each:8.2f} {viewers:9.1f} {taken:8.1f}")


def measure(kind: str, source: str, viewers: int, seconds: float) -> Cost:
    """Return what a run of so many seconds costs with `viewers` of `kind`."""
    sink = [] if kind == KINDS[0] else ["-s", "web:0" + ",image" * (kind == KINDS[3])]
    command = [str(EDGE), "run", source, "--duration", str(seconds), "-s", "jsonl:/dev/null", *sink]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert run.stderr
    cpu, taken = 0.0, 0
    if sink:
        found = re.search(r":(\d+)/", run.stderr.readline())
        assert found, "it did not say where it listens"
        paths = {KINDS[1]: [], KINDS[2]: ["events"], KINDS[3]: ["events", "image"]}[kind]
        cpu, taken = look(int(found[1]), paths, viewers, run)
    said = run.stderr.read()
    run.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    rate = re.search(r"([\d.]+) frames a second", said)
    assert rate, said
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(float(rate[1]), used / seconds * 100, cpu / seconds * 100, taken / 1e6)


def look(port: int, paths: list[str], viewers: int, run: subprocess.Popen[str]) -> tuple[float, int]:
    """Look on until `run` ends; return the seconds of processor that it took, and the bytes that came."""
    start, taken = time.process_time(), 0
    everybody = [opened(port, path) for path in paths for _ in range(viewers)]
    fast, slow, dead = everybody[::3], everybody[1::3], everybody[2::3]
    due = 0.0
    while run.poll() is None:
        ready, _, _ = select.select(fast, [], [], 0.1)
        taken += sum(received(viewer, 1 << 20, fast) for viewer in ready)
        if time.monotonic() >= due:
            due = time.monotonic() + SLOW_SECONDS
            ready, _, _ = select.select(slow, [], [], 0)
            taken += sum(received(viewer, SLOW_BYTES, slow) for viewer in ready)
    for viewer in (*fast, *slow, *dead):
        viewer.close()
    return time.process_time() - start, taken


def opened(port: int, path: str) -> socket.socket:
    viewer = socket.socket()
    viewer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    viewer.connect(("127.0.0.1", port))
    viewer.sendall(f"GET /api/{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return viewer


def received(viewer: socket.socket, most: int, group: list[socket.socket]) -> int:
    """Return how many bytes came; one that has ended leaves its group."""
    try:
        content = viewer.recv(most)
    except ConnectionError:
        content = b""
    if not content:
        group.remove(viewer)
    return len(content)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    main()
