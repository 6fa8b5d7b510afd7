"""The camera module's code keeps its promises with real picamera2 on real libcamera, where that can run."""

import subprocess

import pytest

from tests.support.paths import ROOT


def libcamera(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(ROOT / "scripts" / "libcamera.sh"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=590, check=False)


@pytest.mark.slow
@pytest.mark.timeout(600)  # a minute where nothing else runs
def test_every_check_holds_on_real_libcamera():
    made = libcamera("--made")
    if made.returncode:
        pytest.skip(made.stderr.strip())
    checked = libcamera()
    assert checked.returncode == 0, checked.stdout
    assert "15 of 15 checks passed" in checked.stdout


def test_an_unknown_option_lists_the_options():
    refused = libcamera("--help-me")
    assert refused.returncode == 2
    assert {"--help-me;", "--record,", "--setup"} <= set(refused.stderr.split())
