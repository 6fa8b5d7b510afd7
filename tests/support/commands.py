"""The installed commands as processes, as a user starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

EDGE = str(Path(sys.executable).with_name("edge"))


def run_edge(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the installed `edge` command to its end, without what the tests' own imports set for OpenCV."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OPENCV_")}
    command = [EDGE, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment, **options)


def open_descriptors() -> int:
    """Return the number of open file descriptors of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))
