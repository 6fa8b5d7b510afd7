"""scripts/run.sh installs what its sinks need, with the hashes of a lock, in a fresh clone and in an older one."""

import os
import platform
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.paths import ROOT

pytestmark = pytest.mark.scripts

SCRIPT = ROOT / "scripts" / "run.sh"
TARGET = f"{platform.machine().replace('aarch64', 'arm64')}-py3.{sys.version_info.minor}"
LOCK = """numpy==2 --hash=sha256:1
paho-mqtt==2 --hash=sha256:2 # mqtt
pip==3 --hash=sha256:3 # board
shared==1 --hash=sha256:4 # mqtt web
tornado==6 --hash=sha256:5 # web
"""
# Replaces scripts/venv.sh: prints what would be installed, and installs an `edge` that prints its arguments.
FAKE_VENV = """
find_python() { echo "$PWD/python"; }
is_32_bit() { false; }
pinned='' setup_note=''
make_venv() {
    echo "installs ${*: -1}"
    echo "$*" >arguments
    echo "$pinned" >pinned
    echo "$setup_note" >&2
    mkdir -p .venv/bin
    printf '#!/bin/sh\\necho "edge $*"\\n' >.venv/bin/edge
    chmod +x .venv/bin/edge
}
"""


@pytest.fixture
def clone(tmp_path):
    (tmp_path / "scripts").mkdir()
    shutil.copy(SCRIPT, tmp_path / "scripts")
    (tmp_path / "scripts" / "venv.sh").write_text(FAKE_VENV)
    (tmp_path / "python").write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')  # without installed packages
    (tmp_path / "python").chmod(0o755)
    (tmp_path / "scripts" / "locks").mkdir()
    (tmp_path / "scripts" / "locks" / "build.txt").write_text("hatchling==1 --hash=sha256:6\n")
    (tmp_path / "scripts" / "locks" / f"{TARGET}.txt").write_text(LOCK)
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


@pytest.mark.parametrize("option", [["--config", "my kiosk.toml"], ["--config=my kiosk.toml"]])
def test_a_sink_in_the_configuration_gets_its_extra(clone, tmp_path, option):
    (tmp_path / "my kiosk.toml").write_text('# "mqtt"\nsinks = [\n  "web:8097", "jsonl:window.jsonl",\n]\n')
    command = ["bash", str(clone / "scripts" / "run.sh"), *option]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert result.stdout.splitlines()[0] == "installs .[web]", result.stderr


@pytest.mark.parametrize("content", ["sinks = 7", "sinks = [", "half-life = 1", None])
def test_a_wrong_configuration_is_left_to_edge_run(clone, content):
    file = clone / "config.toml"
    if content:
        file.write_text(content)
    assert run(clone, "--config", str(file)) == ["installs .", f"edge run --config {file}"]


@pytest.mark.parametrize("package", ["picamera2", "gpiozero"])
def test_the_environment_sees_a_package_of_the_system(clone, tmp_path, monkeypatch, package):
    run(clone)
    assert "--system-site-packages" not in (clone / "arguments").read_text()
    (tmp_path / "dist-packages").mkdir()
    (tmp_path / "dist-packages" / f"{package}.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "dist-packages"))
    run(clone)
    assert "--system-site-packages" in (clone / "arguments").read_text()


def test_installed_extras_are_kept(clone):
    run(clone, "--sink", "web")
    assert run(clone, "synthetic")[0] == "installs .[web]"
    assert run(clone, "--sink", "mqtt:nas.local")[0] == "installs .[mqtt,web]"


@pytest.mark.parametrize(
    ("arguments", "packages"),
    [
        ((), ["hatchling", "numpy"]),
        (("--sink", "web"), ["hatchling", "numpy", "shared", "tornado"]),
        (("--sink", "web", "-s", "mqtt:nas.local"), ["hatchling", "numpy", "paho-mqtt", "shared", "tornado"]),
        (("--sink", "window"), ["hatchling", "numpy"]),
    ],
)
def test_packages_are_installed_with_hashes_of_the_lock(clone, arguments, packages):
    run(clone, *arguments)
    lines = (clone / "pinned").read_text().splitlines()
    assert [line.split("==")[0] for line in lines] == packages
    assert all(" --hash=sha256:" in line and "#" not in line for line in lines)
    assert "--no-deps --no-build-isolation -e" in (clone / "arguments").read_text()


def test_without_a_lock_it_says_that_hashes_are_not_checked(clone):
    (clone / "scripts" / "locks" / f"{TARGET}.txt").unlink()
    command = ["bash", str(clone / "scripts" / "run.sh"), "synthetic"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=os.sep)
    assert f"no scripts/locks/{TARGET}.txt: packages are installed without checking their hashes" in result.stderr
    assert (clone / "pinned").read_text() == "\n"
    assert "-c scripts/constraints.txt -e ." in (clone / "arguments").read_text()


def test_a_package_with_another_hash_is_not_installed(tmp_path):
    """With the real scripts/venv.sh and pip, and a wheel that is not the locked one."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "venv.sh", tmp_path / "scripts")
    (tmp_path / "scripts" / "constraints.txt").touch()
    (tmp_path / "pyproject.toml").touch()
    wheel = tmp_path / "thing-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("thing-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1\n")
    script = f"""set -euo pipefail
        . scripts/venv.sh
        pinned='thing==1 --hash=sha256:{"0" * 64}' pinned_options=(--no-index --find-links {tmp_path})
        make_venv .venv {sys.executable} --"""
    result = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert result.returncode == 1
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in result.stderr
    assert not (tmp_path / ".venv").exists()


# `python -m venv` of a fake Python makes an environment with itself; its pip does as `$PIP` says.
FAKE_PYTHON = """#!/bin/sh
for last; do :; done
case "$*" in
*"-m venv"*) mkdir -p "$last/bin" && cp "$0" "$last/bin/python" ;;
*"-m pip"*) eval "$PIP" ;;
--version) ;;
*) exit 1 ;;
esac
"""


@pytest.fixture
def venv_sh(tmp_path):
    """Run bash code after scripts/venv.sh, and return its exit status: venv_sh(CODE, what pip does)."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "venv.sh", tmp_path / "scripts")
    (tmp_path / "scripts" / "constraints.txt").touch()
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "python").write_text(FAKE_PYTHON)
    (tmp_path / "python").chmod(0o755)

    def call(code: str, pip: str) -> int:
        command = ["bash", "-euc", f". scripts/venv.sh; {code}"]
        return subprocess.run(command, env={**os.environ, "PIP": pip}, cwd=tmp_path, check=False).returncode

    return call


def test_a_killed_setup_loses_no_environment_that_worked(venv_sh, tmp_path):
    def set_up(package, pip):
        return venv_sh(f"make_venv .venv {tmp_path}/python -- {package}", pip)

    assert set_up("old", "touch .venv/works") == 0
    assert set_up("new", "kill -9 $PPID") < 0
    assert set_up("new", "exit 1") == 1  # and there is no network now
    assert (tmp_path / ".venv" / "works").exists()
    assert set_up("new", "kill -9 $PPID") < 0
    assert set_up("old", "exit 1") == 0, "what was set up with the same arguments is set up again"
    assert sorted(path.name for path in tmp_path.glob(".venv*")) == [".venv"]


def test_a_package_that_is_missing_later_costs_no_environment(venv_sh, tmp_path):
    assert venv_sh(f"make_venv .venv {tmp_path}/python -- package", "touch .venv/works") == 0
    assert venv_sh("pip_install .venv another", "exit 1") == 1
    assert (tmp_path / ".venv" / "works").exists()
