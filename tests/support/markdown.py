"""What tests need of the project's Markdown: sections, anchors, links, and the commands of code blocks."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.support.paths import ROOT

_HEADING = re.compile(r"^(#{1,6}) +(.*?) *#*$")
_FENCE = re.compile(r"^ *(```|~~~)")
_LINK = re.compile(r"\]\(<?([^)>\s]+)>?(?: \"[^\"]*\")?\)")
_LIST_ITEM = re.compile(r"^(?:\d+\.|[-*]) +")
# A call of one of the commands; scripts/run.sh is `edge run`.
_PROGRAM = re.compile(r"(?:^|[\s/])(edge|trainer|run\.sh)(?= )")
_PREFIX = re.compile(r"(?:sudo |srun |[A-Z_]+=\S+ )*\S*$")  # what may stand before it
_COMMENT = re.compile(r" {2,}\S.*$| +# .*$")  # behind a command: two spaces and more text, or a number sign
_END = re.compile(r" (?:&&|\|\||[|;&<]|2?>>?) ?|;")
_ASSIGNMENT = re.compile(r"^(\w+)=(?:\"([^\"]*)\"|(\$\(.*\)\S*))$")


_GENERATED = ("build", "out", "runs")  # folders that git ignores


class Block(NamedTuple):
    """A code block."""

    line: int  # of its first line, from 1
    text: str
    runnable: bool  # the line before it is the comment `<!-- runnable -->`


def pages() -> list[Path]:
    """Return every Markdown page of the project, in a fixed order."""
    found = {
        path for pattern in ("*.md", "docs/**/*.md", "*/README.md", "*/*/README.md") for path in ROOT.glob(pattern)
    }
    top_folders = {path: path.relative_to(ROOT).parts[0] for path in found}
    return sorted(path for path, top in top_folders.items() if top not in _GENERATED and not top.startswith("."))


def inline_code(text: str) -> Iterator[tuple[int, str]]:
    """Yield line number and content of each code span outside of code blocks."""
    for number, line, in_code in _lines(text):
        if not in_code:
            yield from ((number, span) for span in re.findall(r"`([^`]+)`", line))


def sections(text: str, level: int) -> dict[str, str]:
    """Return the title of each heading of `level` and what follows it up to the next heading of any level."""
    found: dict[str, list[str]] = {}
    current: list[str] | None = None
    for _, line, in_code in _lines(text):
        heading = None if in_code else _HEADING.match(line)
        if heading:
            current = found.setdefault(heading[2], []) if len(heading[1]) == level else None
        elif current is not None:
            current.append(line)
    return {title: "\n".join(lines) for title, lines in found.items()}


def anchors(text: str) -> set[str]:
    """Return the anchors of the headings as GitHub makes them: lower case, hyphens for spaces, no punctuation."""
    found: set[str] = set()
    for _, line, in_code in _lines(text):
        if not in_code and (heading := _HEADING.match(line)):
            title = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading[2])
            anchor = base = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
            number = 0
            while anchor in found:
                number += 1
                anchor = f"{base}-{number}"
            found.add(anchor)
    return found


def links(text: str) -> Iterator[tuple[int, str]]:
    """Yield line number and target of each link and image outside of code."""
    for number, line, in_code in _lines(text):
        if not in_code:
            for match in _LINK.finditer(re.sub(r"`[^`]*`", "", line)):
                yield number, match[1]


def code_blocks(text: str) -> Iterator[Block]:
    """Yield the fenced and the indented code blocks."""
    lines: list[str] = []
    begin, marked, before = 0, False, ""
    for number, line, in_code in [*_lines(text), (0, "", False)]:
        if in_code and not lines:
            begin, marked = number, before == "<!-- runnable -->"
        if in_code:
            lines.append(line)
        elif lines:
            yield Block(begin, "\n".join(each for each in lines if not _FENCE.match(each)), marked)
            lines = []
        if line.strip():
            before = line.strip()


def commands(block: Block) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and arguments, the program first, of each call of `edge` or `trainer` in a code block.

    A shell variable that the block assigns is replaced by its value, or by VALUE if a command computes it.
    """
    variables: dict[str, str] = {}
    number = block.line
    for joined in re.split(r"(?<!\\)\n", block.text):
        line = re.sub(r" *\\\n *", " ", joined).strip()
        if assigned := _ASSIGNMENT.match(line):
            variables[assigned[1]] = assigned[2] or re.sub(r"\$\(.*\)", "VALUE", assigned[3] or "")
        match = _PROGRAM.search(line)
        if match and _PREFIX.fullmatch(line[: match.start(1)]):
            call = _END.split(_COMMENT.sub("", line[match.start(1) :]), maxsplit=1)[0]
            for name, value in variables.items():
                call = call.replace(f"${name}", value)
            program, *arguments = shlex.split(call)
            arguments = ["run", *arguments] if program == "run.sh" else arguments
            if arguments:
                yield number, ["edge" if program == "run.sh" else program, *arguments]
        number += joined.count("\n") + 1


def _lines(text: str) -> Iterator[tuple[int, str, bool]]:
    """Yield number, text, and whether it belongs to a code block, of each line."""
    fence, indent, in_indented, blank = "", 0, False, True
    for number, line in enumerate(text.splitlines(), start=1):
        mark = _FENCE.match(line)
        if fence:
            yield number, line, True
            fence = "" if mark and mark[1] == fence else fence
            continue
        if mark:
            fence = mark[1]
            yield number, line, True
            continue
        if not line.strip():
            blank = True
            yield number, line, False
            continue
        width = len(line) - len(line.lstrip())
        item = _LIST_ITEM.match(line)
        if item:
            indent = item.end()
        elif width < indent and width == 0:
            indent = 0
        in_indented = width >= indent + 4 and (blank or in_indented) and not item
        blank = False
        yield number, line, in_indented
