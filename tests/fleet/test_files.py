"""The fleet's files agree with the installer, with each other and with docs/fleet.md."""

import json
import os
import re
import subprocess
import sys
from fnmatch import fnmatch

import pytest

from tests.support import board as boards
from tests.support.fleet import PLAYBOOKS
from tests.support.paths import ROOT

ROLE = PLAYBOOKS / "roles" / "emotion_edge"
PAGE = (ROOT / "docs" / "fleet.md").read_text()
DEPLOYMENT = (ROOT / "docs" / "deployment.md").read_text()


def read_board(board):
    """Run what deploy.yml runs on a board."""
    command = [sys.executable, ROLE / "files" / "read_board.py", board.home]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_the_playbooks_read_what_the_installer_has_written(tmp_path):
    board = boards.Board(tmp_path, tmp_path / "tools")
    assert read_board(board) == {"target": boards.TARGET, "current": "", "complete": []}
    for name, target in (("1", boards.TARGET), ("2", boards.TARGET), ("3", boards.TARGET), ("4", "arm64-py3.9")):
        (board.home / "releases" / name).mkdir(parents=True)
        (board.home / "releases" / name / "manifest").write_text(f"release={name}\ntarget={target}\n")
    for name in ("1", "2", "4"):
        (board.home / "releases" / name / ".complete").touch()
    (board.home / "current").symlink_to("releases/2")
    assert read_board(board) == {"target": boards.TARGET, "current": "2", "complete": ["1", "2"]}


def test_target_and_exit_statuses_are_those_of_the_installer():
    installer = boards.INSTALLER.read_text()
    assert '{"aarch64": "arm64"}.get(platform.machine(), platform.machine())' in installer
    statuses = re.search(r"# Exit status: 2 usage, 78 .*, 1 otherwise", installer)
    assert statuses, "the mapping in vars/main.yml is of other statuses"
    named = re.findall(r'^  "(-?\d+)": ', (ROLE / "vars" / "main.yml").read_text(), re.MULTILINE)
    assert sorted(named) == ["-9", "1", "2", "78"]
    for line in (ROLE / "vars" / "main.yml").read_text().partition("exit_statuses:\n")[2].splitlines():
        number, _, text = line.strip().replace('"', "").partition(": ")
        assert f"| {number} | {text} |" in PAGE


@pytest.mark.parametrize("playbook", sorted(PLAYBOOKS.glob("*.yml")), ids=lambda path: path.name)
def test_every_playbook_is_documented(playbook):
    assert f"| `{playbook.name}" in PAGE


@pytest.mark.parametrize("role", sorted((PLAYBOOKS / "roles").iterdir()), ids=lambda path: path.name)
def test_every_variable_of_a_role_is_described(role):
    specification = (role / "meta" / "argument_specs.yml").read_text()
    internal = {"home", "etc", "drop_ins", "incoming", "root"}  # of tests
    names = re.findall(rf"^(?:# )?{role.name}_(\w+):", (role / "defaults" / "main.yml").read_text(), re.MULTILINE)
    assert names
    missing = [name for name in names if name not in internal and f"      {role.name}_{name}:" not in specification]
    assert missing == []


def test_the_retry_unit_runs_the_retry_list():
    unit = (PLAYBOOKS / "systemd" / "emotion-edge-fleet-retry.service").read_text()
    assert "deploy.yml --limit @inventory/boards.retry" in unit
    assert "ConditionFileNotEmpty=/home/operator/emotion-edge/fleet/ansible/inventory/boards.retry" in unit
    assert "'/boards.retry'" in (PLAYBOOKS / "vars" / "retry.yml").read_text()


def test_the_timer_has_the_vault_password_of_all_commands():
    unit = (PLAYBOOKS / "systemd" / "emotion-edge-fleet-retry.service").read_text()
    setting = "ANSIBLE_VAULT_PASSWORD_FILE=~/.emotion-edge-vault"
    assert f"\nEnvironment={setting}\n" in unit
    assert f"echo 'export {setting}' >>.venv-fleet/bin/activate\n" in PAGE
    for page in (ROOT / "docs").glob("*.md"):
        assert "--ask-vault-pass" not in page.read_text(), "commands without it could not read the inventory any more"


def test_a_second_installation_keeps_the_vault_password(tmp_path):
    (line,) = re.findall(r"^ +(.*>~/\.emotion-edge-vault\))$", PAGE, re.MULTILINE)
    passwords = []
    for _ in range(2):
        subprocess.run(["bash", "-euc", line], env={**os.environ, "HOME": str(tmp_path)}, check=True)
        passwords.append((tmp_path / ".emotion-edge-vault").read_text())
    assert len(passwords[0]) > 30
    assert passwords[0] == passwords[1], "what was encrypted with the first one could not be read any more"


def test_the_page_removes_what_the_fetching_role_has_installed():
    role = PLAYBOOKS / "roles" / "emotion_edge_fetch"
    written = re.findall(r'dest: "{{ emotion_edge_fetch_root }}(/.+)"', (role / "tasks" / "main.yml").read_text())
    names = [path.name.removesuffix(".j2") for part in ("files", "templates") for path in (role / part).iterdir()]
    states = re.findall(r"StateDirectory=(.+)", "".join(path.read_text() for path in role.glob("templates/*")))
    paths = [path for path in written if "{{" not in path]
    paths += [path.replace("{{ item }}", name) for path in written for name in names if "{{" in path]
    paths += [f"/var/lib/{state}" for state in states]
    removed = re.findall(r" (/\S+)", "".join(re.findall(r"^    sudo rm -rf.*\n", DEPLOYMENT, re.MULTILINE)))
    assert len(paths) == 1 + 2 * len(names) + 2
    assert [path for path in paths if not any(fnmatch(path, f"{each}*") for each in removed)] == []


def keep_files(*arguments):
    command = [sys.executable, ROLE / "files" / "keep_files.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_kept_files_come_back_as_they_were(tmp_path):
    kept, old, new = tmp_path / "kept", tmp_path / "old", tmp_path / "new"
    old.write_text("before")
    old.chmod(0o600)
    assert not keep_files("save", kept, old, new)
    old.write_text("after")
    old.chmod(0o644)
    new.write_text("after")
    assert keep_files("restore", kept) == "restored"
    assert (old.read_text(), old.stat().st_mode & 0o777) == ("before", 0o600)
    assert list(tmp_path.iterdir()) == [old]
    assert not keep_files("restore", kept)


def test_an_interrupted_change_is_taken_back_to_its_beginning(tmp_path):
    kept, first, second = tmp_path / "kept", tmp_path / "first", tmp_path / "second"
    first.write_text("before")
    keep_files("save", kept, first)
    first.write_text("half")
    second.write_text("before, too")
    assert keep_files("save", kept, first, second) == "interrupted"
    second.unlink()
    keep_files("restore", kept)
    assert (first.read_text(), second.read_text()) == ("before", "before, too")


def test_a_copy_of_a_secret_is_never_readable_by_others(tmp_path):
    """As it is when the copy was interrupted before it had the mode of its original."""
    secret = tmp_path / "secret"
    secret.write_text("word")
    program = "import runpy, shutil, sys; shutil.copystat = lambda *_, **__: None; "
    program += "del sys.argv[0]; runpy.run_path(sys.argv[0])"
    for arguments in (["save", tmp_path / "kept", secret], ["restore", tmp_path / "kept"]):
        secret.chmod(0o644)
        subprocess.run([sys.executable, "-c", program, ROLE / "files" / "keep_files.py", *arguments], check=True)
    assert secret.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("playbook", ["deploy", "status", "rollback", "configure", "model", "fetch", "monitoring"])
def test_every_playbook_checks_that_there_are_boards(playbook):
    text = (PLAYBOOKS / f"{playbook}.yml").read_text()
    first, _, rest = text.partition("import_playbook: plays/check_boards.yml")
    assert "hosts:" not in first
    assert f"boards_group: {'emotion_edge_fetch' if playbook == 'fetch' else 'emotion_edge'}\n" in rest
