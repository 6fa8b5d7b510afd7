"""Boards for the tests of deployment, and what is deployed to them."""

from pathlib import Path

import pytest

from tests.support.board import Board, Kiosks, bundle, fake_programs


@pytest.fixture
def board(tmp_path):
    return Board(tmp_path / "board", fake_programs(tmp_path / "tools"))


@pytest.fixture
def release(tmp_path):
    """Make an unpacked bundle: release("2", "hangs")."""

    def made(name: str, *arguments: str, **more: str) -> Path:
        return bundle(tmp_path / "bundles", name, *arguments, **more)

    return made


@pytest.fixture
def running(board, release):
    """A board on which release 1 runs."""
    result = board.install(release("1"))
    assert result.returncode == 0, result.stdout
    return board


@pytest.fixture
def model(tmp_path):
    def made(words):
        path = tmp_path / f"{words.replace(' ', '-')}.tflite"
        path.write_text(f"{words}\n")
        return path

    return made


@pytest.fixture
def kiosks(tmp_path):
    found = Kiosks(tmp_path / "kiosks", fake_programs(tmp_path / "tools"))
    for name in ("one", "two", "three"):
        assert found[name].root.is_dir()
    return found
