"""The lint of the project's words finds what it is there for, and nothing in the project."""

import pytest

from tests.wording import check

pytestmark = pytest.mark.keras  # the help of `trainer` is read, too


def test_the_project_uses_none_of_the_banned_words():
    assert check.problems() == []


def test_a_banned_identifier_is_found_but_not_in_strings():
    code = "grey = 1\nname = 'grey'\ngreyish = grey\n"
    assert [line for line, _ in check.bad_identifiers(code, {"grey": "gray"})] == [1, 3]


def test_a_banned_word_is_found_outside_of_allowed_texts():
    text = "A Picture.\npicamera2 and pictures\ntrainer sweep and sweep"
    words = {"picture": "image", "pictures": "images", "sweep": "full scan", "picamera2": "x"}
    found = check.bad_prose(text, words, ["picamera2", "trainer sweep"])
    assert [line for line, _ in found] == [1, 2, 3]


def test_every_command_has_its_help_read():
    titles = {title for title, _ in check.help_texts()}
    assert {"edge --help", "edge run --help", "trainer train --help", "trainer evaluate --help"} <= titles
