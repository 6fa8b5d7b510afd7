"""`edge config` checks a configuration file and prints an example."""

import re

import pytest

from edge.config import toml_file


@pytest.fixture
def file(tmp_path):
    return tmp_path / "config.toml"


def test_check_lists_all_problems(run_here, file):
    file.write_text('threads = 0\nreconnect = true\nsource = 3\nmin_confidence = "x"\ncolor = 1\n')
    result = run_here("config", "--check", file)
    assert result.returncode == 78
    assert re.findall(rf"^{re.escape(str(file))}:(\d+): ", result.stderr, re.MULTILINE) == ["1", "3", "4", "5"]


def test_check_accepts_a_valid_file(run_here, file):
    file.write_text("threads = 2\n")
    result = run_here("config", "--check", file)
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{file}: valid\n", "")


def test_the_example_is_printed(run_here):
    assert run_here("config", "--example").stdout == toml_file.example()


def test_without_an_option_it_is_a_usage_error(run_here):
    result = run_here("config")
    assert result.returncode == 2
    assert "--check FILE or --example" in result.stderr
