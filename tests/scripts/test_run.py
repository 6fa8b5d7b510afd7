"""scripts/run.sh installs the extras of the named sinks, in a fresh clone and in one that has some already."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

pytestmark = pytest.mark.scripts

SCRIPT = ROOT / "scripts" / "run.sh"
# Replaces scripts/venv.sh: prints what would be installed, and installs an `edge` that prints its arguments.
FAKE_VENV = f"""
find_python() {{ echo {sys.executable}; }}
is_32_bit() {{ false; }}
make_venv() {{
    echo "installs ${{*: -1}}"
    mkdir -p .venv/bin
    printf '#!/bin/sh\\necho "edge $*"\\n' >.venv/bin/edge
    chmod +x .venv/bin/edge
}}
"""


@pytest.fixture
def clone(tmp_path):
    (tmp_path / "scripts").mkdir()
    shutil.copy(SCRIPT, tmp_path / "scripts")
    (tmp_path / "scripts" / "venv.sh").write_text(FAKE_VENV)
    return tmp_path


def run(clone: Path, *arguments: str) -> list[str]:
    command = ["bash", str(clone / "scripts" / "run.sh"), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=os.sep)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def test_a_fresh_clone_installs_only_the_base_package(clone):
    assert run(clone, "synthetic", "--max-frames", "5") == ["installs .", "edge run synthetic --max-frames 5"]


@pytest.mark.parametrize(
    ("arguments", "extras"),
    [
        (("--sink", "web:8080,image"), ".[web]"),
        (("-s", "mqtt:nas.local", "--sink=window"), ".[mqtt,window]"),
        (("--sink", "console", "-s", "jsonl:web.jsonl"), "."),
        (("web.mp4",), "."),
    ],
)
def test_a_named_sink_gets_its_extra(clone, arguments, extras):
    assert run(clone, *arguments)[0] == f"installs {extras}"


def test_installed_extras_are_kept(clone):
    run(clone, "--sink", "web")
    assert run(clone, "synthetic")[0] == "installs .[web]"
    assert run(clone, "--sink", "mqtt:nas.local")[0] == "installs .[mqtt,web]"
