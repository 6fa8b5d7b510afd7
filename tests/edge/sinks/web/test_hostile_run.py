"""A real run that is attacked stays within its memory, and goes on."""

import re
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

pytest.importorskip("tornado", reason="pip install 'emotion-edge[web]'")

from benchmarks.hostile_clients import MAX_MEMORY_MB, Target, get_status, head
from edge.system.sysfs import read_megabytes
from tests.support.image_files import jpeg_in_scans
from tests.support.kiosk import EdgeProcess, wait_until

JPEG = "Content-Type: image/jpeg"


def test_costly_photos_and_unfinished_uploads_stay_below_200_mb():
    upload = head("POST /api/analyze", JPEG, "Content-Length: 9990000") + b"\xff" * 9_900_000
    with EdgeProcess("run", "synthetic", "-s", "web:0") as run, ExitStack() as stack:
        found = re.search(r"http://[\d.]+:(\d+)/", run.wait_for_line("http"))
        assert found
        target = Target(int(found[1]))
        assert b" 422 " in target.post(jpeg_in_scans(8900, 3))
        for _ in range(40):
            with suppress(OSError):
                connection = stack.enter_context(target.connect())
                connection.sendall(upload)
        wait_until(lambda: get_status(target, "/healthz") == 200)
        assert (read_megabytes(Path(f"/proc/{run.process.pid}/status"), "VmHWM") or 0.0) < MAX_MEMORY_MB
