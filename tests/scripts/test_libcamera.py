"""The camera module's code holds what it promises with real picamera2 on real libcamera, where that can be run."""

import subprocess

import pytest

from tests.support.paths import ROOT


def libcamera(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(ROOT / "scripts" / "libcamera.sh"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=590, check=False)


@pytest.mark.slow
@pytest.mark.timeout(600)  # a minute where nothing else runs
def test_all_that_is_promised_of_the_camera_module_holds_with_real_picamera2_on_real_libcamera():
    made = libcamera("--made")
    if made.returncode:
        pytest.skip(made.stderr.strip())
    checked = libcamera()
    assert checked.returncode == 0, checked.stdout
    assert "15 of 15 hold" in checked.stdout


def test_an_option_that_there_is_not_is_refused_with_those_that_there_are():
    refused = libcamera("--help-me")
    assert refused.returncode == 2
    assert refused.stderr == "libcamera.sh: error: unknown option --help-me; there are --record, --setup and --made\n"
