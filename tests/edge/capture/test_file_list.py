"""A source names its files in natural order; what is not read is in the list with its reason."""

import inspect
import os
import random
import re
import sys

import pytest

from edge.capture import file_list
from edge.capture.file_list import SourceFiles, list_files, natural_key
from edge.errors import SourceNotFoundError, UsageError


def names(*sources, recursive=False) -> list[str]:
    return [each.name for each in list_files([str(source) for source in sources], recursive=recursive)]


@pytest.fixture
def folder(tmp_path):
    """A folder with images and videos in it and its subfolders, and a link to itself."""
    for name in ("frame10.jpg", "frame2.jpg", "clip.mp4", "sub/b.png", "sub/deep/c.png", ".hidden.jpg", ".git/x.jpg"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "in" / "self").symlink_to(".")
    return tmp_path / "in"


def test_names_are_sorted_with_their_numbers_by_value(tmp_path):
    expected = ["a", "a1.jpg", "a1b2.jpg", "a1b10.jpg", "a2.jpg", "a10.jpg", "b/1.jpg", "b2/1.jpg", "b10/1.jpg"]
    paths = [tmp_path / name for name in expected]
    random.Random(0).shuffle(paths)
    assert sorted(paths, key=natural_key) == [tmp_path / name for name in expected]


def test_a_folder_lists_its_files_and_names_its_subfolders(folder):
    listed = list_files([str(folder)])
    assert [(each.name, bool(each.problem)) for each in listed] == [
        *(("clip.mp4", False), ("frame2.jpg", False), ("frame10.jpg", False)),
        *(("self", True), ("sub", True)),
    ]
    assert [each.is_image for each in listed[:3]] == [False, True, True]


def test_recursive_reads_subfolders_but_no_links_to_folders(folder):
    listed = list_files([str(folder)], recursive=True)
    assert [each.name for each in listed if not each.problem] == [
        *("clip.mp4", "frame2.jpg", "frame10.jpg", "sub/b.png", "sub/deep/c.png"),
    ]
    assert [each.name for each in listed if each.problem] == ["self"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("**", ["clip.mp4", "frame2.jpg", "frame10.jpg", "sub/b.png", "sub/deep/c.png"]),
        ("**/*.png", ["sub/b.png", "sub/deep/c.png"]),
        ("sub/**/c.png", ["deep/c.png"]),
        ("s*/deep/*.png", ["sub/deep/c.png"]),
        ("frame?.jpg", ["frame2.jpg"]),
        (".h*.jpg", [".hidden.jpg"]),
        ("[f]rame2.jpg", ["frame2.jpg"]),
        ("self/s*/b.png", ["sub/b.png"]),
    ],
)
def test_a_pattern_lists_what_matches(folder, pattern, expected):
    assert names(folder / pattern) == expected


def test_several_sources_are_listed_one_after_the_other(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert names("sub/b.png", "frame2.jpg", "sub/deep") == ["sub/b.png", "frame2.jpg", "sub/deep/c.png"]


def test_bad_entries_of_a_folder_are_listed_with_their_reason(tmp_path):
    (tmp_path / "a.jpg").touch()
    (tmp_path / "b.jpg").symlink_to("gone.jpg")
    (tmp_path / "c.jpg").mkdir()
    os.mkfifo(tmp_path / "d.jpg")
    (tmp_path / "e.txt").touch()
    reasons = [each.problem for each in list_files([str(tmp_path)])]
    words = ("", "does not exist", "a folder", "not a regular file", "its name")
    assert [word in reason for word, reason in zip(words, reasons, strict=True)] == [True] * 5
    assert reasons[0] == ""
    assert all(reasons[1:])


@pytest.fixture
def little_recursion():
    """Allow as little recursion as if folders lay in each other by the thousand, which no test could remove again."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 120)
    yield
    sys.setrecursionlimit(before)


def test_folders_in_each_other_without_end_are_left_out(folder, little_recursion):
    place = folder
    for _ in range(250):
        place /= "d"
        place.mkdir()
    listed = names(folder, recursive=True)
    assert set(listed) >= {"frame2.jpg", "sub/deep/c.png", "/".join("d" * 201)}
    assert names(folder / "**" / "c.png") == ["sub/deep/c.png"]


def test_a_named_fifo_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(UsageError, match=r"pipe\.jpg: not a regular file"):
        list_files([str(tmp_path / "pipe.jpg")])


def test_a_named_dangling_link_is_refused(tmp_path):
    (tmp_path / "b.jpg").symlink_to("gone.jpg")
    with pytest.raises(SourceNotFoundError, match=r"b\.jpg: a link to a file that does not exist"):
        list_files([str(tmp_path / "b.jpg")])


@pytest.mark.parametrize(
    ("source", "recursive"), [("**", False), ("*/*/*/*/*.jpg", False), ("**/x.jpg", False), (".", True), (".", False)]
)
def test_a_search_without_end_is_refused_with_what_it_looked_at(source, recursive, tmp_path, monkeypatch):
    monkeypatch.setattr(file_list, "MAX_ENTRIES", 50)
    monkeypatch.chdir(tmp_path)
    for name in "abc":  # each leads to all of them: the names of a pattern multiply
        (tmp_path / name).symlink_to(".")
    for number in range(50):
        (tmp_path / f"{number}.txt").touch()
    with pytest.raises(UsageError, match=rf"^{re.escape(source)}: looked at 50 files and folders, and there are more"):
        list_files([source], recursive=recursive)


def test_a_file_of_the_source_is_known_under_another_name(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to("a.mp4")
    is_source = SourceFiles(list_files([str(tmp_path / "a.mp4")]))
    assert [is_source(tmp_path / name) for name in ("a.mp4", "link", "b.mp4", "absent")] == [True, True, False, False]
