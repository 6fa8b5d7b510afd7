"""Text on its way out is printable, and no formula of a spreadsheet."""

import pytest

from edge.system.plain_text import escape, escape_lines, from_cell, to_cell


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("müde, 眠い", "müde, 眠い"),
        ("a\r\nb\0", r"a\r\nb\x00"),
        ("\x1b]0;title\x07\x7f\x9b", r"\x1b]0;title\x07\x7f\x9b"),
        ("\u202e\u2028\u2066", r"\u202e\u2028\u2066"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_is_not_printable_is_escaped(text, escaped):
    assert escape(text) == escaped


def test_lines_stay_lines():
    assert escape_lines("a\x1b\n\nb\r\n") == "a\\x1b\n\nb\\r\n"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "'=1", "'", "calm", "", "a=1"])
def test_a_cell_is_no_formula_and_is_read_back_unchanged(text):
    cell = to_cell(text)
    assert not cell.startswith(("=", "+", "-", "@"))
    assert from_cell(cell) == text
