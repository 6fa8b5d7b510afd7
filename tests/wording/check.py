"""Report words that the project does not use: python -m tests.wording.check

Reads identifiers.txt (all Python code) and prose.txt (Markdown, and the help of both commands). Exit status: 1 if
there is any.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator, Mapping
from pathlib import Path

import typer.main

from tests.support.paths import ROOT

HERE = Path(__file__).parent


def read_identifiers() -> dict[str, str]:
    """Return each identifier that must not exist and its replacement."""
    lines = (HERE / "identifiers.txt").read_text().splitlines()
    return dict(line.split(maxsplit=1) for line in lines if line and not line.startswith("#"))


def read_prose() -> tuple[dict[str, str], list[str]]:
    """Return each prose word that must not stand and its replacement; and the allowed texts."""
    words, allowed = {}, []
    for line in (HERE / "prose.txt").read_text().splitlines():
        if line.startswith("allow: "):
            allowed.append(line.removeprefix("allow: "))
        elif line and not line.startswith("#"):
            word, replacement = line.split(" = ")
            words[word] = replacement
    return words, allowed


def bad_identifiers(code: str, banned: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """Yield line number and message of each banned identifier in Python `code`."""
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.NAME and token.string in banned:
            yield token.start[0], f"identifier {token.string!r}, use {banned[token.string]!r}"


def bad_prose(text: str, banned: Mapping[str, str], allowed: list[str]) -> Iterator[tuple[int, str]]:
    """Yield line number and message of each banned word in `text`."""
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, banned))})\b", re.IGNORECASE)
    for number, line in enumerate(text.splitlines(), start=1):
        checked = line
        for excepted in allowed:
            checked = checked.replace(excepted, "")
        for match in pattern.finditer(checked):
            yield number, f"word {match.group()!r}, use {banned[match.group().lower()]!r}"


def help_texts() -> Iterator[tuple[str, str]]:
    """Yield name and whole help text of `edge`, `trainer` and each of their subcommands."""
    import edge.cli
    import trainer.cli

    for name, app in (("edge", edge.cli.app), ("trainer", trainer.cli.app)):
        group = typer.main.get_command(app)
        commands = {name: group} | {f"{name} {each}": command for each, command in group.commands.items()}  # type: ignore[attr-defined] # a group's
        for title, command in commands.items():
            context = typer.Context(command, info_name=title, max_content_width=100_000, terminal_width=100_000)
            yield f"{title} --help", command.get_help(context)


def tracked(*patterns: str) -> list[Path]:
    """Return the files of the project that match one of `patterns`, as git knows them."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).exists()]


def problems() -> list[str]:
    """Return every banned word of the project, as FILE:LINE: what and what to use."""
    found = []
    identifiers, (words, allowed) = read_identifiers(), read_prose()
    for path in tracked("*.py"):
        found += [f"{path.relative_to(ROOT)}:{n}: {text}" for n, text in bad_identifiers(path.read_text(), identifiers)]
    for path in tracked("*.md"):
        found += [f"{path.relative_to(ROOT)}:{n}: {text}" for n, text in bad_prose(path.read_text(), words, allowed)]
    for title, help_text in help_texts():
        found += [f"{title}:{n}: {text}" for n, text in bad_prose(help_text, words, allowed)]
    return found


if __name__ == "__main__":
    for problem in (found := problems()):
        print(problem)
    print(f"wording: {len(found)} problems")
    sys.exit(bool(found))
