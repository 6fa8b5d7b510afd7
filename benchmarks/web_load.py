"""Measure what clients of the sink `web` cost the loop.

    python -m benchmarks.web_load [--clients 50] [--rounds 3] [--duration 10]

Each round runs `edge run synthetic` (30 frames per second, 640 x 480) four times, interleaved: without `web`, with it
but without clients, with clients of the events, and with clients of the events and of the camera's image. A third of
the clients reads as fast as possible, a third 8 kB per second, a third nothing. The clients are one separate process.

It prints the medians over the rounds: frames per second and their ratio to the run without `web`, CPU time of
`edge run` and of the clients in percent of one core, CPU time per frame (start-up included), and the data received. A
loop of 30 frames per second has spare time; `--source synthetic:fast` shows the cost for one that has none. On a
machine with other load, CPU time per frame is more reliable than frames per second.
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
SLOW_BYTES, SLOW_INTERVAL_SECONDS = 2048, 0.25  # that a slow client reads at a time: 8 kB per second
# Scenario -> (the sink's argument, paths with clients); None: without the sink.
SCENARIOS: dict[str, tuple[str | None, list[str]]] = {
    "without web": (None, []),
    "web, no clients": ("web:0", []),
    "events": ("web:0", ["events"]),
    "events and image": ("web:0,image", ["events", "stream.mjpg"]),
}


class Cost(NamedTuple):
    fps: float
    cpu_percent: float  # of one core
    clients_cpu_percent: float  # likewise
    received_mb: float


def main() -> None:
    purpose = __doc__.partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.web_load", description=purpose)
    parser.add_argument("--clients", type=int, default=50, help="of each stream")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--duration", type=float, default=10.0, help="seconds of each run")
    parser.add_argument("--source", default="synthetic")
    options = parser.parse_args()
    costs: dict[str, list[Cost]] = {scenario: [] for scenario in SCENARIOS}
    for number in range(options.rounds):
        for scenario in SCENARIOS:
            cost = measure(scenario, options.source, options.clients, options.duration)
            costs[scenario].append(cost)
            print(f"round {number + 1} of {options.rounds}: {scenario}: {cost.fps:.1f} fps", file=sys.stderr)
    print(f"{options.source}, {options.clients} clients, {options.rounds} rounds of {options.duration:g} s, medians")
    print(f"{'':20} {'fps':>8} {'ratio':>6} {'CPU %':>6} {'ms/frame':>8} {'clients %':>9} {'MB':>8}")
    base = statistics.median(cost.fps for cost in costs["without web"])
    for scenario, each in costs.items():
        fps, cpu, clients, received = (statistics.median(values) for values in zip(*each, strict=True))
        frame_ms = statistics.median(10 * cost.cpu_percent / cost.fps for cost in each)
        print(f"{scenario:20} {fps:8.2f} {fps / base:6.3f} {cpu:6.1f} {frame_ms:8.2f} {clients:9.1f} {received:8.1f}")


def measure(scenario: str, source: str, clients: int, seconds: float) -> Cost:
    """Return the cost of a run of `seconds` with `clients` for each path of the scenario."""
    sink, paths = SCENARIOS[scenario]
    sinks = ["-s", "jsonl:/dev/null", *(["-s", sink] if sink else [])]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [str(EDGE), "run", source, "--duration", str(seconds), *sinks]
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert run.stderr
    clients_cpu, received_bytes = 0.0, 0
    if sink:
        line = run.stderr.readline()
        found = re.search(r":(\d+)/", line)
        assert found, line
        clients_cpu, received_bytes = read_streams(int(found[1]), paths, clients, run)
    output = run.stderr.read()
    run.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    rate = re.search(r"([\d.]+) frames per second", output)
    assert rate, output
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(float(rate[1]), cpu / seconds * 100, clients_cpu / seconds * 100, received_bytes / 1e6)


def read_streams(port: int, paths: list[str], clients: int, run: subprocess.Popen[str]) -> tuple[float, int]:
    """Read with all clients until `run` ends; return their CPU seconds and the bytes received."""
    start, received = time.process_time(), 0
    connections = [connect(port, path) for path in paths for _ in range(clients)]
    fast, slow, stalled = connections[::3], connections[1::3], connections[2::3]
    due = 0.0
    while run.poll() is None:
        ready, _, _ = select.select(fast, [], [], 0.1)
        received += sum(receive(connection, 1 << 20, fast) for connection in ready)
        if time.monotonic() >= due:
            due = time.monotonic() + SLOW_INTERVAL_SECONDS
            ready, _, _ = select.select(slow, [], [], 0)
            received += sum(receive(connection, SLOW_BYTES, slow) for connection in ready)
    for connection in (*fast, *slow, *stalled):
        connection.close()
    return time.process_time() - start, received


def connect(port: int, path: str) -> socket.socket:
    """Return a connection that has requested `path` of the API."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    connection.connect(("127.0.0.1", port))
    connection.sendall(f"GET /api/{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return connection


def receive(connection: socket.socket, max_bytes: int, group: list[socket.socket]) -> int:
    """Return the number of bytes received; remove a closed connection from its `group`."""
    try:
        content = connection.recv(max_bytes)
    except ConnectionError:
        content = b""
    if not content:
        group.remove(connection)
        connection.close()
    return len(content)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    main()
