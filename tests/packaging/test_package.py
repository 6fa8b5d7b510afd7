"""The source archive is complete, the wheel installs by pip, uv and pipx, and runs the synthetic camera.

The tools are those of the dependency group `release`, in .venv-release. What is installed comes from the package index.
"""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

from tests.support.paths import ROOT

TOOLS = ROOT / ".venv-release/bin"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RUN = ("run", "synthetic:fast", "--max-frames", "5", "--sink", "jsonl")

needs_tools = pytest.mark.skipif(not (TOOLS / "pyproject-build").exists(), reason=".ci/run makes .venv-release")


def check_run(command, *arguments, **options):
    result = subprocess.run(
        [*map(str, command), *map(str, arguments)], capture_output=True, text=True, timeout=230, check=False, **options
    )
    assert result.returncode == 0, f"{result.stdout[-2000:]}\n{result.stderr[-3000:]}"
    return result.stdout


@pytest.fixture(scope="session")
def archives(tmp_path_factory):
    """The folder with the source archive, and the wheel that was made of it."""
    folder = tmp_path_factory.mktemp("dist")
    check_run([TOOLS / "pyproject-build"], "--no-isolation", "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="session")
def wheel(archives):
    (path,) = archives.glob("*.whl")
    return path


def members(wheel):
    """Return the content of each file in the wheel but for its list of hashes."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/RECORD")}


@needs_tools
@pytest.mark.slow
def test_source_archive_builds_the_wheel_of_the_checkout(archives, wheel, tmp_path):
    check_run([TOOLS / "pyproject-build"], "--no-isolation", "--wheel", "--outdir", tmp_path, ROOT)
    (direct,) = tmp_path.glob("*.whl")
    assert members(direct) == members(wheel)
    assert {f"edge/models/{path.name}" for path in (ROOT / "models").glob("*.tflite")} <= members(wheel).keys()
    assert wheel.name == direct.name == f"emotion_edge-{version()}-py3-none-any.whl"


@needs_tools
@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout")
def test_source_archive_has_every_file_of_the_checkout(archives):
    (path,) = archives.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        archived = {name.partition("/")[2] for name in archive.getnames()}
    tracked = {name for name in check_run(["git", "ls-files"], cwd=ROOT).splitlines() if (ROOT / name).exists()}
    assert tracked - archived == set()


@needs_tools
@pytest.mark.slow
def test_twine_accepts_both_archives(archives):
    assert check_run([TOOLS / "twine"], "check", "--strict", *archives.iterdir()).count("PASSED") == 2


@needs_tools
@pytest.mark.slow
def test_wheel_says_what_it_needs(wheel):
    (name,) = [name for name in members(wheel) if name.endswith(".dist-info/METADATA")]
    metadata = HeaderParser().parsestr(members(wheel)[name].decode())
    assert {"web", "mqtt", "window", "trainer"} <= set(metadata.get_all("Provides-Extra", []))
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"


@needs_tools
@pytest.mark.slow
def test_pip_installs_the_wheel_with_extras_and_edge_runs(wheel, tmp_path):
    check_run([TOOLS / "uv"], "venv", "--seed", "--python", sys.executable, tmp_path / "env")
    check_run([tmp_path / "env/bin/python"], "-m", "pip", "install", "--quiet", f"{wheel}[web,mqtt,window]")
    assert check_run([tmp_path / "env/bin/edge"], *RUN, cwd=tmp_path).count('"faces"') == 5
    check_run([tmp_path / "env/bin/python"], "-P", "-c", "import tornado, prometheus_client, paho.mqtt, pygame")
    assert not list((tmp_path / "env").rglob("tensorflow*"))


@needs_tools
@pytest.mark.slow
def test_uv_installs_the_tool_and_edge_runs(wheel, tmp_path):
    environment = make_environment(tmp_path)
    check_run([TOOLS / "uv"], "tool", "install", "--python", sys.executable, wheel, env=environment)
    assert sorted(path.name for path in (tmp_path / "bin").iterdir()) == ["edge", "trainer"]
    assert check_run([tmp_path / "bin/edge"], *RUN, cwd=tmp_path).count('"faces"') == 5


@needs_tools
@pytest.mark.slow
def test_pipx_runs_edge_without_installing_it(wheel, tmp_path):
    environment = make_environment(tmp_path)
    command = [TOOLS / "pipx", "run", "--python", sys.executable, "--spec", wheel, "edge"]
    assert check_run(command, *RUN, cwd=tmp_path, env=environment).count('"faces"') == 5


@pytest.mark.parametrize(
    ("python", "system", "machine", "has_runtime", "has_tensorflow"),
    [
        ("3.11", "linux", "x86_64", True, True),
        ("3.13", "linux", "aarch64", True, True),
        ("3.14", "linux", "x86_64", True, False),
        ("3.11", "linux", "armv7l", False, True),
        ("3.13", "darwin", "arm64", True, True),
        ("3.13", "darwin", "x86_64", False, False),
        ("3.13", "win32", "AMD64", True, True),
    ],
)
def test_packages_without_a_wheel_for_a_system_are_left_out(python, system, machine, has_runtime, has_tensorflow):
    requirements = pytest.importorskip("packaging.requirements")
    values = {"python_version": python, "sys_platform": system, "platform_machine": machine}
    needed = {
        requirement.name
        for text in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["trainer"]
        if (requirement := requirements.Requirement(text)).marker is None or requirement.marker.evaluate(values)
    }
    assert ("ai-edge-litert" in needed, "tensorflow" in needed) == (has_runtime, has_tensorflow)
    assert {"numpy", "opencv-python-headless", "typer"} <= needed


def version():
    (text,) = re.findall(r'__version__ = "(.+?)"', (ROOT / "edge/__init__.py").read_text())
    return text


def make_environment(folder: Path) -> dict[str, str]:
    """Return environment variables with which uv and pipx keep everything but their cache in `folder`."""
    certificates = os.environ.get("PIP_CERT")
    return {
        **os.environ,
        "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}",
        "UV_TOOL_DIR": str(folder / "tools"),
        "UV_TOOL_BIN_DIR": str(folder / "bin"),
        "PIPX_HOME": str(folder / "pipx"),
        **({"SSL_CERT_FILE": certificates} if certificates and "SSL_CERT_FILE" not in os.environ else {}),
    }
