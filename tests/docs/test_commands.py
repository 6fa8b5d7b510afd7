"""Every `edge` and `trainer` command in the documentation is one that the program accepts.

A block after the line `<!-- runnable -->` is run. `python -m tests.docs.test_commands` lists the others with their
reasons.
"""

from __future__ import annotations

import re
import shlex
from typing import Any, NamedTuple

import pytest
import typer

import edge.cli
import trainer.cli
from tests.support.commands import run_edge
from tests.support.markdown import Block, code_blocks, commands, inline_code, pages
from tests.support.paths import ROOT

PROGRAMS: dict[str, Any] = {
    "edge": typer.main.get_command(edge.cli.app),
    "trainer": typer.main.get_command(trainer.cli.app),
}
PAGES = pages()
# The first one that matches says why a command is not run.
REASONS = [
    (r"^trainer ", "needs training data, and minutes or hours"),
    (r"mqtt:", "needs a broker"),
    (r"\bwindow\b", "needs a display"),
    (r"\bweb\b", "serves until it is stopped"),
    (r"picamera|usb:|/dev/|https?:|rtsps?:", "needs a camera"),
    (r"edge (doctor|benchmark)", "its result depends on the machine"),
    (
        r"\.(py|jpg|png|mp4|toml|tflite|csv|jsonl)\b|photos?\b|crops\b|trip\b|\blog\b",
        "needs or writes files of the user",
    ),
    (r"--duration", "takes as long as it says"),
    (r"edge run(?!.*--max-frames)", "runs until it is stopped"),
]


class Command(NamedTuple):
    place: str  # file and line
    arguments: list[str]  # the program first
    runnable: bool
    in_slurm: bool  # in a batch script of SLURM, which sets variables that the command reads


def documented():
    for page in PAGES:
        for block in code_blocks(page.read_text()):
            for line, arguments in commands(block):
                yield Command(f"{page.relative_to(ROOT)}:{line}", arguments, block.runnable, "#SBATCH" in block.text)


COMMANDS = list(documented())
RUNNABLE = [command for command in COMMANDS if command.runnable]


def parse(program, name, *arguments):
    """Parse a command line without running it; raise what the command would show as an error."""
    group = PROGRAMS[program]
    context = group.make_context(program, [name, *arguments])
    group.commands[name].make_context(name, list(arguments), parent=context)
    if "--" in arguments:  # the command behind is one of the same program
        parse(program, *arguments[arguments.index("--") + 1 :])


def reason_not_to_run(arguments):
    line = shlex.join(arguments)
    return next((reason for pattern, reason in REASONS if re.search(pattern, line)), None)


def place_of(command):
    return command.place


def test_many_commands_are_found():
    found = {" ".join(command.arguments[:2]) for command in COMMANDS}
    assert {"edge run", "edge doctor", "trainer train", "trainer quantize", "trainer launch"} <= found
    assert len(COMMANDS) > 60


@pytest.mark.parametrize("command", COMMANDS, ids=place_of)
def test_a_documented_command_is_accepted(command, monkeypatch):
    if command.in_slurm:
        monkeypatch.setenv("SLURM_NTASKS", "2")
        monkeypatch.setenv("SLURM_PROCID", "0")
    parse(*command.arguments)


@pytest.mark.parametrize(
    "arguments",
    [["edge", "run", "--no-such-option"], ["edge", "no-command"], ["trainer", "launch", "--", "no-command"]],
)
def test_a_wrong_command_is_not_accepted(arguments):
    with pytest.raises((KeyError, typer.BadParameter.__mro__[2])):  # typer's errors have no public base class
        parse(*arguments)


def unknown_in(span):
    """Return what the command in a code span, which may lack arguments, has that the program does not know."""
    program, name, *rest = span.split()
    commands_of_program = PROGRAMS[program].commands
    if name not in commands_of_program:
        return [name]
    parameters = commands_of_program[name].params
    known = {"--help"}.union(*([*each.opts, *each.secondary_opts] for each in parameters))
    options = [each.partition("=")[0] for each in rest if re.match(r"--\w", each)]
    return [option for option in options if option not in known]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_command_in_a_sentence_exists_with_its_options(page):
    spans = [(line, span) for line, span in inline_code(page.read_text()) if re.match(r"(edge|trainer) [a-z]", span)]
    unknown = {f"{line}: {span}": unknown_in(span) for line, span in spans}
    assert {place: names for place, names in unknown.items() if names} == {}


def test_a_wrong_command_in_a_sentence_is_found():
    assert unknown_in("edge no-command") == ["no-command"]
    assert unknown_in("edge run a.mp4 --no-such=1 --sink web") == ["--no-such"]


@pytest.mark.parametrize("command", RUNNABLE, ids=place_of)
def test_a_runnable_command_succeeds(command, tmp_path):
    program, *arguments = command.arguments
    assert program == "edge"
    result = run_edge(*arguments, cwd=tmp_path)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("command", [each for each in COMMANDS if not each.runnable], ids=place_of)
def test_a_command_that_is_not_run_has_a_reason(command):
    assert reason_not_to_run(command.arguments), f"{shlex.join(command.arguments)}: mark it as runnable"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("./scripts/run.sh usb:0     a camera", [["edge", "run", "usb:0"]]),
        ("sudo /opt/x/bin/edge config --check a.toml && echo ok", [["edge", "config", "--check", "a.toml"]]),
        ("trainer train --data 'a b' \\\n    --resume  # again", [["trainer", "train", "--data", "a b", "--resume"]]),
        ('budget="--epochs 4"\ntrainer train $budget', [["trainer", "train", "--epochs", "4"]]),
        ("edge: error: no camera\necho edge run", []),
    ],
)  # fmt: skip
def test_commands_are_read_from_a_block(text, expected):
    assert [arguments for _, arguments in commands(Block(1, text, False))] == expected


if __name__ == "__main__":
    for command in COMMANDS:
        reason = "runnable" if command.runnable else reason_not_to_run(command.arguments)
        print(f"{command.place}: {shlex.join(command.arguments)}\n    {reason}")
