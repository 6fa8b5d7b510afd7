"""Log messages are plain lines on stderr, with priorities where stderr is the systemd journal."""

import json
import logging
import os
import subprocess
import sys

import pytest

from edge.system import log
from tests.support.commands import EDGE


@pytest.fixture
def configured(monkeypatch):
    """Logging without a handler of an earlier test; as before at the end."""
    root, levels = logging.getLogger(), {name: logging.getLogger(name).level for name in log.OWN_LOGGERS}
    monkeypatch.setattr(root, "handlers", [])
    yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def run_with_journal(*arguments, journal_stream=str, command=(EDGE,)):
    """Run `edge` with a pipe as stderr; `journal_stream` makes JOURNAL_STREAM from "device:inode" of the pipe."""
    reader, writer = os.pipe()
    status = os.fstat(writer)
    process = subprocess.Popen(
        [*command, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=writer,
        text=True,
        env={**os.environ, "JOURNAL_STREAM": journal_stream(f"{status.st_dev}:{status.st_ino}")},
    )
    os.close(writer)
    with os.fdopen(reader) as pipe:
        stderr = pipe.read()
    stdout, _ = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def test_lines_in_the_journal_have_their_priority():
    result = run_with_journal("run", "synthetic:fast", "--max-frames", 1, "-s", "jsonl")
    assert [line[:3] for line in result.stderr.splitlines()] == ["<6>", "<6>"]
    assert json.loads(result.stdout)["frame"] == 0  # stdout stays as it is


@pytest.mark.parametrize("arguments", [("run", "nothing.mp4"), ("rum",)])
def test_an_error_in_the_journal_has_the_priority_of_errors(arguments):
    assert run_with_journal(*arguments).stderr.startswith("<3>edge: error: ")


def test_every_line_of_a_crash_is_an_error_in_the_journal():
    crash = "from edge import app, cli; app.run = lambda _: 1 / 0; cli.main()"
    result = run_with_journal("run", command=[sys.executable, "-c", crash])
    assert result.returncode == 1
    lines = result.stderr.splitlines()
    assert "ZeroDivisionError" in lines[-1]
    assert len(lines) > 3
    assert {line[:3] for line in lines} == {"<3>"}


@pytest.mark.parametrize("stream", ["1:2", "", "nonsense"])
def test_elsewhere_lines_have_no_priority(stream):
    result = run_with_journal("run", "nothing.mp4", journal_stream=lambda _: stream)
    assert result.stderr.startswith("edge: error: ")


def test_the_formatter_marks_each_line_with_the_level():
    def marks(level):
        record = logging.LogRecord("edge.x", level, "file", 1, "one %d", (2,), None)
        return log.JournalFormatter().format(record)

    assert marks(logging.WARNING) == "<4>one 2"
    assert [marks(level)[:3] for level in (logging.CRITICAL, logging.ERROR, logging.INFO, logging.DEBUG)] == [
        "<3>",
        "<3>",
        "<6>",
        "<7>",
    ]


def test_other_libraries_are_shown_from_warning_on(configured, capsys):
    log.configure()
    log.configure()  # no second handler
    logging.getLogger("edge.test").info("own information")
    logging.getLogger("edge.test").debug("own detail")
    library = logging.getLogger("library")
    library.setLevel(logging.DEBUG)
    library.info("foreign information")
    library.warning("foreign warning")
    library.setLevel(logging.NOTSET)
    assert capsys.readouterr().err == "own information\nforeign warning\n"


@pytest.mark.parametrize("formatter", [log.PlainFormatter(), log.JournalFormatter()])
def test_what_a_message_quotes_stays_on_its_line(formatter):
    quoted = "a\n<3>edge: error: forged \x1b[2J\x9b\u202e\ud800\u2028b"
    record = logging.LogRecord("edge.x", logging.INFO, "file", 1, "%s: left out", (quoted,), None)
    line = formatter.format(record)
    assert line.removeprefix("<6>") == (r"a\n<3>edge: error: forged \x1b[2J\x9b\u202e\ud800\u2028b: left out")
    line.encode()


def test_a_traceback_keeps_its_lines_without_control_characters():
    try:
        raise KeyError("\x1b[2J\n") from ValueError("\x9b\nforged")
    except KeyError:
        record = logging.LogRecord("edge.x", logging.ERROR, "file", 1, "crash", (), sys.exc_info())
    lines = log.PlainFormatter().format(record).split("\n")
    assert lines[0] == "crash"
    assert "Traceback (most recent call last):" in lines
    assert all(line.isprintable() for line in lines)
