"""A bundle has everything that a board needs, is reproducible, and installs a release that classifies faces."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from edge.config.models import shipped_model
from edge.inference import model_file
from tests.support.board import TARGET, Board, fake_programs
from tests.support.paths import ROOT

pytestmark = pytest.mark.scripts

LOCKS = sorted((ROOT / "scripts" / "locks").glob("*-py3.*.txt"))
BUILD_LOCK = ROOT / "scripts" / "locks" / "build.txt"
LOCK_LINE = re.compile(r"(?P<name>[a-z0-9-]+)==(?P<version>\S+) --hash=sha256:[0-9a-f]{64}( # (?P<groups>[a-z ]+))?")


def make(*arguments: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [cwd / "scripts" / "bundle.sh", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        cwd=cwd,
    )


def lock_lines(path: Path) -> list[re.Match[str]]:
    """Return the parts of a lock's lines."""
    found = [LOCK_LINE.fullmatch(line) for line in path.read_text().splitlines()]
    return [line for line in found if line or pytest.fail(f"{path}: a line without a hash")]


def read_lock(path: Path) -> dict[str, str]:
    """Return name -> version of a target's packages."""
    return {line["name"]: line["version"] for line in lock_lines(path)}


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_a_lock_has_the_tested_versions(path):
    lines = (ROOT / "scripts" / "constraints.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert read_lock(path).items() >= pinned.items()


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_a_lock_says_which_sink_needs_a_package(path):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    groups = {line["name"]: (line["groups"] or "").split() for line in lock_lines(path)}
    for sink in ("mqtt", "web", "window"):
        for package in extras[sink]:
            assert sink in groups[re.split("[<>=]", package)[0]]
    assert groups["pip"] == groups["simplejpeg"] == ["board"]
    assert groups["numpy"] == groups["typer"] == []


def test_the_build_tools_are_locked_with_hashes():
    script = (ROOT / "scripts" / "bundle.sh").read_text()
    tools = re.search(r"^build_tools=\((.*)\)$", script, re.MULTILINE)
    assert tools
    assert read_lock(BUILD_LOCK).items() >= dict(tool.split("==") for tool in tools[1].split()).items()
    assert "editables" in read_lock(BUILD_LOCK)  # what hatchling needs for an editable installation


def test_every_target_of_a_board_has_the_same_lock():
    assert {path.stem for path in LOCKS} >= {"arm64-py3.11", "arm64-py3.13"}
    assert len({frozenset(read_lock(path).items()) for path in LOCKS}) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "target is ''"),
        (["--target", "armv6-py3.9"], "target is 'armv6-py3.9', expected arm64-py3.11"),
        (["--target"], "--target needs a value"),
        (["--color"], "unknown option --color"),
        (["a.tar"], "only --sign takes files"),
        (["--sign", "no-key", "a.tar"], "no-key, which cannot be read"),
        (["--sign", __file__, __file__], "neither a bundle (.tar) nor a model (.tflite)"),
    ],
)
def test_a_usage_error_is_reported(arguments, words):
    result = make(*arguments)
    assert result.returncode == 2
    assert words in result.stderr


def test_a_target_without_a_lock_says_how_to_make_it(tmp_path):
    result = make("--target", "arm64-py3.12", "--out", tmp_path)
    assert result.returncode == 1
    assert "make it with: scripts/bundle.sh --target arm64-py3.12 --lock" in result.stderr


@pytest.mark.parametrize("model", ["emotion", shipped_model()], ids=["name", "file"])
def test_a_model_is_a_name_or_a_file(tmp_path, model):
    result = make("--target", "arm64-py3.12", "--model", model, "--out", tmp_path)
    assert "no scripts/locks/arm64-py3.12.txt" in result.stderr  # the step after the model
    result = make("--target", "arm64-py3.12", "--model", f"{model}s", "--out", tmp_path)
    assert (result.returncode, f"{model}s: cannot be read" in result.stderr) == (78, True)


def test_a_model_without_a_card_is_refused_before_downloads(tmp_path):
    bad = tmp_path / "bad.tflite"
    bad.write_bytes(shipped_model().read_bytes()[:5000])
    result = make("--target", "arm64-py3.13", "--model", bad, "--out", tmp_path)
    assert result.returncode == 78
    assert "without a card" in result.stderr


# ---- with the packages, from the network or pip's cache


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """Two bundles of this tree, each made on its own."""
    if not (ROOT / "scripts" / "locks" / f"{TARGET}.txt").exists():
        pytest.skip(f"no lock for {TARGET}")
    made = []
    for name in ("once", "twice"):
        result = make("--target", TARGET, "--out", tmp_path_factory.mktemp(name))
        assert result.returncode == 0, result.stderr
        made.append(Path(result.stdout.splitlines()[-1]))
    return made


@pytest.fixture(scope="module")
def unpacked(bundles, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(bundles[0]) as archive:
        archive.extractall(folder, filter="data")
    (place,) = folder.iterdir()
    return place


@pytest.mark.slow
def test_the_same_tree_gives_the_same_bytes(bundles):
    once, twice = bundles
    assert once.name == twice.name
    assert hashlib.sha256(once.read_bytes()).digest() == hashlib.sha256(twice.read_bytes()).digest()


@pytest.mark.slow
def test_a_bundle_has_root_owned_files_with_checksums(bundles, unpacked):
    with tarfile.open(bundles[0]) as archive:
        members = archive.getmembers()
    assert {(member.uid, member.gid, member.uname) for member in members} == {(0, 0, "")}
    assert len({member.mtime for member in members}) == 1
    assert [member.name for member in members] == sorted(member.name for member in members)
    sums = dict(reversed(line.split("  ")) for line in (unpacked / "SHA256SUMS").read_text().splitlines())
    files = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    assert files == {*sums, "SHA256SUMS"}
    for name, digest in sums.items():
        assert hashlib.sha256((unpacked / name).read_bytes()).hexdigest() == digest


@pytest.mark.slow
def test_the_version_names_the_commit_and_the_wheel_has_it(unpacked):
    commit = subprocess.run(
        ["git", "rev-parse", "--short=7", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    manifest = dict(line.split("=") for line in (unpacked / "manifest").read_text().splitlines())
    assert re.fullmatch(rf"[0-9.]+\+g{commit.stdout.strip()}(\.dirty\.[0-9a-f]{{7}})?", manifest["version"])
    assert unpacked.name == f"emotion-edge-{manifest['version']}-{TARGET}"
    assert (unpacked / "wheelhouse" / f"emotion_edge-{manifest['version']}-py3-none-any.whl").exists()


@pytest.mark.slow
def test_another_tree_is_another_release(bundles, tmp_path):
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", "--shared", ROOT, clone], check=True)
    shutil.copy(ROOT / "scripts" / "bundle.sh", clone / "scripts")
    (clone / "edge" / "new.py").write_text("")
    result = make("--target", TARGET, "--out", tmp_path, cwd=clone)
    assert result.returncode == 0, result.stderr
    (made,) = tmp_path.glob("*.tar")
    assert ".dirty." in made.name
    assert made.name != bundles[0].name
    with tarfile.open(made) as archive:
        (wheel,) = [name for name in archive.getnames() if "/emotion_edge-" in name]
        archive.extract(wheel, tmp_path, filter="data")
    listed = subprocess.run(
        [sys.executable, "-m", "zipfile", "-l", tmp_path / wheel], capture_output=True, text=True, check=True
    )
    assert "edge/new.py" in listed.stdout


@pytest.fixture(scope="module")
def board(unpacked, tmp_path_factory):
    """A board with the bundle installed, in a real virtual environment; only systemctl is a fake."""
    found = Board(tmp_path_factory.mktemp("board"), fake_programs(tmp_path_factory.mktemp("tools"), real=True))
    result = found.installer("install", script=unpacked / "install.sh")
    assert result.returncode == 0, result.stdout
    return found


def edge(board: Board, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the release's `edge` as the unit does."""
    name, path = (board.home / "current" / "environment").read_text().strip().split("=", 1)
    program = board.home / "current" / "venv" / "bin" / "edge"
    return subprocess.run(
        [str(program), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": os.environ["PATH"], name: path},
    )


@pytest.mark.slow
def test_an_installed_bundle_classifies_faces(board):
    result = edge(board, "run", "synthetic:fast", "--max-frames", "30", "--sink", "jsonl")
    assert result.returncode == 0, result.stderr
    results = [json.loads(line) for line in result.stdout.splitlines()]
    assert any(each["faces"] for each in results)


@pytest.mark.slow
def test_the_manifest_states_the_installed_size(board, unpacked):
    manifest = dict(line.split("=") for line in (unpacked / "manifest").read_text().splitlines())
    folder = (board.home / "current").resolve()
    taken = sum(path.lstat().st_size for path in folder.rglob("*"))
    assert 0.9 < taken / int(manifest["installed_bytes"]) < 1.1


@pytest.mark.slow
def test_another_model_is_used_and_a_truncated_one_refused(board, tmp_path):
    model, card = model_file.load(shipped_model())
    model_file.attach(model, replace(card, name="another"), tmp_path / "another.tflite")
    result = board.installer("model", tmp_path / "another.tflite")
    assert result.returncode == 0, result.stdout
    assert edge(board, "info").stdout.splitlines()[2].split() == ["name", "another"]
    now = board.current
    (tmp_path / "truncated.tflite").write_bytes((tmp_path / "another.tflite").read_bytes()[:-100])
    result = board.installer("model", tmp_path / "truncated.tflite")
    assert result.returncode == 78
    assert "the model is refused, nothing was changed" in result.stdout
    assert board.current == now
