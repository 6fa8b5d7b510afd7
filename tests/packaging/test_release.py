"""A tag is released only if version and changelog say the same; the workflows are valid; what they run exists."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from check_release import find_problems

from tests.support.paths import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
CHECK_SCHEMA = ROOT / ".venv-release/bin/check-jsonschema"


@pytest.fixture
def make_checkout(tmp_path):
    def make(version, changelog):
        (tmp_path / "edge").mkdir()
        (tmp_path / "edge/__init__.py").write_text(f'"""..."""\n__version__ = "{version}"  # of the package\n')
        (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n{changelog}")
        return tmp_path

    return make


def test_a_tag_of_the_version_with_its_changes_is_released(make_checkout):
    root = make_checkout("1.2.0", "## Unreleased\n\n## 1.2.0 - 2026-12-01\n\n- new\n\n## 1.1.0 - 2026-11-01\n\n- old\n")
    assert find_problems("v1.2.0", root) == []


@pytest.mark.parametrize(
    ("tag", "changelog", "problem"),
    [
        ("v1.2.1", "## 1.2.0 - 2026-12-01\n", "the tag is v1.2.1, but the version in edge/__init__.py 1.2.0"),
        ("v1.2.0", "## 1.2.0\n", "CHANGELOG.md has no heading '## 1.2.0 - YYYY-MM-DD'"),
        ("v1.2.0", "## 1.2.01 - 2026-12-01\n", "CHANGELOG.md has no heading '## 1.2.0 - YYYY-MM-DD'"),
        ("v1.2.0", "## Unreleased\n\n- new\n\n## 1.2.0 - 2026-12-01\n", "CHANGELOG.md has entries under Unreleased"),
    ],
)
def test_what_does_not_agree_is_named(tag, changelog, problem, make_checkout):
    (found,) = find_problems(tag, make_checkout("1.2.0", changelog))
    assert found.startswith(problem)


def test_the_command_fails_for_a_tag_of_another_version():
    command = [sys.executable, str(ROOT / "scripts/check_release.py"), "v0.0.0"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("the tag is v0.0.0")


@pytest.mark.skipif(not CHECK_SCHEMA.exists(), reason=".ci/run makes .venv-release")
def test_workflows_are_valid():
    command = [str(CHECK_SCHEMA), "--builtin-schema", "vendor.github-workflows", *map(str, WORKFLOWS)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_scripts_of_workflows_exist(workflow):
    for name in re.findall(r"(?:scripts|\.ci)/[\w./]+", workflow.read_text()):
        assert (ROOT / name).is_file(), name


def test_no_test_is_skipped_in_ci_for_a_missing_program():
    wanted = " ".join(re.findall(r"^programs\+?=\((.*)\)$", (ROOT / ".ci/run").read_text(), re.MULTILINE)).split()
    workflow = (ROOT / ".github/workflows/ci.yml").read_text()
    installed = workflow.partition("--no-install-recommends")[2].partition("- run:")[0].split()
    assert wanted
    assert sorted({*wanted} - {"chromium"}) == sorted(installed)  # the runner has a browser


def test_only_the_publishing_job_may_publish():
    build, publish = (ROOT / ".github/workflows/release.yml").read_text().split("  publish:\n")
    assert "id-token" not in build
    assert publish.count("id-token: write") == 1
    assert "password" not in Path(ROOT / ".github/workflows/release.yml").read_text().replace("no password", "")
