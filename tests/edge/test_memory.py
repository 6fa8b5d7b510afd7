"""The loop's memory does not grow with the number of frames."""

import subprocess
import sys

import pytest

from tests.support.paths import ROOT


@pytest.mark.slow
def test_memory_of_the_loop_does_not_grow():
    command = [sys.executable, "-m", "benchmarks.memory", "--frames", "5000"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=230, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "5,000 frames" in result.stdout
