"""Paths of any bytes are expanded, shown and handed to native libraries safely."""

import os
from pathlib import Path

import pytest

from edge.errors import UsageError
from edge.system.paths import display_name, expand_path, file_problem, native_name


def test_the_home_folder_is_expanded(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert expand_path("~/a.jpg") == Path("/home/me/a.jpg")


def test_a_name_that_begins_with_a_tilde_is_kept():
    assert expand_path("~tmp.jpg") == Path("~tmp.jpg")


def test_an_empty_path_is_refused_not_the_current_folder():
    with pytest.raises(UsageError, match="a path is empty"):
        expand_path("")


def test_a_zero_byte_is_refused():
    with pytest.raises(UsageError, match="zero byte"):
        expand_path("a\0.jpg")


@pytest.mark.parametrize("name", ["a" * 256, "é" * 128, "a/" * 2500, "a/" * 300])
def test_a_path_beyond_the_limits_of_the_system_is_refused(name):
    with pytest.raises(UsageError, match="too long for a path") as refused:
        expand_path(name)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("name", ["a" * 255, "é" * 127, "a/" * 100])
def test_a_path_within_the_limits_of_the_system_is_kept(name):
    assert expand_path(name) == Path(name)


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        (__file__, ""),
        ("/none.jpg", "no such file"),
        (f"{__file__}/a.jpg", "no such file"),
        ("/dev", "not a regular file"),
        ("/dev/zero", "not a regular file"),
        ("a" * 300, "cannot be read (File name too long)"),
    ],
)
def test_what_is_no_regular_file_is_told_apart(path, problem):
    assert file_problem(Path(path)) == problem


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"a b.jpg", "a b.jpg"),
        ("müde.jpg".encode(), "müde.jpg"),
        (b"caf\xe9.jpg", "caf\\xe9.jpg"),
        (b"a\n\x1b[2J.jpg", "a\\n\\x1b[2J.jpg"),
    ],
)
def test_a_name_is_shown_as_printable_text(name, expected):
    assert display_name(os.fsdecode(name)) == expected


def test_a_native_library_gets_an_absolute_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert native_name(Path("12:30:00.mp4")) == f"{tmp_path}/12:30:00.mp4"


def test_a_native_library_gets_no_path_that_is_not_utf_8():
    with pytest.raises(UsageError, match=r"^caf\\xe9\.mp4: the name is not UTF-8; rename"):
        native_name(Path(os.fsdecode(b"caf\xe9.mp4")))
