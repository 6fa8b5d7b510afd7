"""The door for text on its way out: nothing in it controls a terminal, forges a line, or becomes a formula."""

from __future__ import annotations

_FORMULA_BEGIN = ("=", "+", "-", "@")
_QUOTE = "'"


def escape(text: str) -> str:
    r"""Return `text` with what is not printable escaped, as in `caf\xe9\n`: control characters, surrogates, U+202E."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def escape_lines(text: str) -> str:
    """Return `text` with the line breaks that are in it, and each line escaped."""
    return "\n".join(map(escape, text.split("\n")))


def to_cell(text: str) -> str:
    """Return `text` for a cell of a CSV file, which programs for spreadsheets must not take for a formula.

    A quote is put before one, and before a quote, so that `from_cell` returns the same text. See CWE-1236.
    """
    return f"{_QUOTE}{text}" if text.startswith((*_FORMULA_BEGIN, _QUOTE)) else text


def from_cell(cell: str) -> str:
    """Return the text of a cell that `to_cell` returned."""
    return cell.removeprefix(_QUOTE)
