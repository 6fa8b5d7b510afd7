"""Small system programs give their output, or None whatever goes wrong."""

import pytest

from edge.system import command
from tests.support.fake_machine import write_program


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """The only folder of PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_the_output_of_a_program_with_its_arguments(programs):
    write_program(programs, "program", 'echo "$2 $1"')
    assert command.output_of("program", "a", "b") == "b a\n"


def test_a_program_that_is_not_installed(programs):
    assert command.output_of("program") is None


def test_a_program_that_fails(programs):
    write_program(programs, "program", "echo output; exit 3")
    assert command.output_of("program") is None


def test_a_program_that_hangs_is_ended(programs, monkeypatch):
    monkeypatch.setattr(command, "TIMEOUT_SECONDS", 0.05)
    write_program(programs, "program", "exec /usr/bin/tail -f /dev/null")
    assert command.output_of("program") is None


def test_a_program_that_cannot_be_started(programs):
    write_program(programs, "program", "")
    (programs / "program").write_text("#!/no/such/shell\n")
    assert command.output_of("program") is None
