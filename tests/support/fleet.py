"""A fleet for the tests of the playbooks: boards as in tests/support/board.py, reached by Ansible without ssh."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support.board import Board, bundle, executable, fake_programs, packed, seal
from tests.support.paths import ROOT

PLAYBOOKS = ROOT / "fleet" / "ansible"
CONNECTIONS = Path(__file__).parent / "ansible_connection"

# The power fails at the call of systemctl that `cut` names: the installer is killed, and the board is off.
_SYSTEMCTL = """#!/bin/sh
state=$EMOTION_EDGE_ROOT/manager
if [ "$(cat "$state/cut" 2>/dev/null)" = "$1" ]; then
    rm "$state/cut" "$state/runs"
    touch "$EMOTION_EDGE_ROOT/off"
    pid=$PPID
    while tr '\\0' ' ' <"/proc/$pid/cmdline" | grep -q 'install[.]sh'; do
        parent=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$pid/status")
        kill -9 "$pid"
        pid=$parent
    done
    exit 1
fi
case $1 in
restart) # the service does not become ready with a configuration that has the word `unready`
    basename "$(readlink "$EMOTION_EDGE_ROOT/opt/emotion-edge/current")" | tee -a "$state/starts" >"$state/runs"
    ! grep -q unready "$EMOTION_EDGE_ROOT/etc/emotion-edge/config.toml" ;;
show) [ $# != 2 ] || echo LoadState=loaded ;;
esac || exit 1
exec {systemctl} "$@"
"""

# df of a full disk, where the file `full` is in the board's folder.
_DF = """#!/bin/sh
[ ! -e "$EMOTION_EDGE_ROOT/full" ] || { echo Avail; echo 1000; exit; }
exec /bin/df "$@"
"""


def ansible(program: str) -> str | None:
    """Return the path of a program of ansible-core or ansible-lint; None if it is not installed."""
    return shutil.which(program, path=f"{ROOT / '.venv-fleet' / 'bin'}:{os.environ['PATH']}")


def fleet_programs(folder: Path) -> Path:
    """Make the programs of `fake_programs`, with failures of power, disk and service that each board has for itself."""
    fake_programs(folder)
    systemctl = (folder / "systemctl").rename(folder / "systemctl-of-all")
    executable(folder / "systemctl", _SYSTEMCTL.replace("{systemctl}", str(systemctl)))
    executable(folder / "df", _DF)
    (folder / "ssh").unlink()
    return folder


class Fleet:
    """Boards `kiosk001`, `kiosk002` ... in folders, their inventory, and the playbooks.

    Attributes:
        variables: of the group of all boards; `emotion_edge_release` names its release.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self.folder, self.tools = folder, fleet_programs(folder / "tools")
        self.names = [f"kiosk{number:03}" for number in range(1, size + 1)]
        self.inventory = folder / "inventory" / "hosts.json"
        self.retry_list = folder / "inventory" / "boards.retry"
        self.variables: dict[str, object] = {}
        for board in self.boards:
            (board.root / "root").mkdir()

    def __getitem__(self, name: str) -> Board:
        return Board(self.folder / "boards" / name, self.tools)

    @property
    def boards(self) -> list[Board]:
        return [self[name] for name in self.names]

    @property
    def running(self) -> list[str | None]:
        """The release that each board runs."""
        return [board.runs for board in self.boards]

    def make_bundle(self, release: str, how: str = "runs", watchdog: int | None = None) -> Path:
        """Pack a bundle of `release`; see tests.support.board for `how`.

        Args:
            watchdog: seconds; a board on which the release hangs is known as such after one and a half times as long.
        """
        place = bundle(self.folder / "bundles", release, how)
        if watchdog is not None:
            service = place / "systemd" / "emotion-edge.service"
            service.write_text(f"[Service]\nTimeoutStartSec=60\nWatchdogSec={watchdog}\n# {release}")
        return packed(seal(place))

    def set_behavior(self, name: str, release: str, how: str) -> None:
        """Make `release` behave as `how` says on the board `name` alone."""
        self._note(name, f"how-{release}", how)

    def cut_power(self, name: str, call: str) -> None:
        """Let the power of the board `name` fail at its next call of systemctl with `call`."""
        self._note(name, "cut", call)

    def _note(self, name: str, file: str, text: str) -> None:
        state = self[name].root / "manager"
        state.mkdir(exist_ok=True)
        (state / file).write_text(text)

    def switch_off(self, *names: str) -> None:
        for name in names:
            (self[name].root / "off").touch()

    def boot(self, *names: str) -> None:
        """Switch boards on, as systemd does: recover from an interrupted deployment, then start the service."""
        for name in names:
            board = self[name]
            (board.root / "off").unlink()
            if board.pending:
                result = board.installer("recover", script=board.home / "current" / "install.sh")
                assert result.returncode == 0, result.stdout
            if board.current:
                subprocess.run([self.tools / "systemctl", "start"], env=board.environment, check=True)

    def write_inventory(self) -> None:
        connection = {
            "ansible_connection": "board",
            "ansible_become": False,  # no sudo in the tests
            "ansible_python_interpreter": sys.executable,
            "ansible_remote_tmp": str(self.folder / "boards" / "{{ inventory_hostname }}" / "tmp"),
            "emotion_edge_root": str(self.folder / "boards" / "{{ inventory_hostname }}"),
            "emotion_edge_bundles": str(self.folder / "bundles"),
            "emotion_edge_health_check": 0,
        }
        group = {"hosts": {name: {} for name in self.names}, "vars": {**connection, **self.variables}}
        self.inventory.parent.mkdir(exist_ok=True)
        groups = {"emotion_edge": group, "emotion_edge_fetch": {"hosts": {name: {} for name in self.names}}}
        self.inventory.write_text(json.dumps({"all": {"children": groups}}))

    def play(self, playbook: str, *arguments: str, **environment: str) -> Played:
        """Run a playbook to its end."""
        self.write_inventory()
        program = ansible("ansible-playbook")
        assert program, "ansible-core is not installed: pip install --group fleet"
        result = subprocess.run(
            [program, "-i", str(self.inventory), str(PLAYBOOKS / playbook), *arguments],
            cwd=self.folder,
            env={**self._environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Played(result)

    @property
    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": f"{self.tools}:{os.environ['PATH']}",
            "ANSIBLE_CONFIG": str(PLAYBOOKS / "ansible.cfg"),
            "ANSIBLE_HOME": str(self.folder / "ansible"),
            "ANSIBLE_CONNECTION_PLUGINS": str(CONNECTIONS),
            "ANSIBLE_FORKS": "8",
            "ANSIBLE_NOCOLOR": "1",
        }


class Played:
    """What a playbook has done.

    Attributes:
        changed, failed, unreachable: names of the boards with at least one such task.
    """

    def __init__(self, result: subprocess.CompletedProcess[str]) -> None:
        self.status, self.output = result.returncode, result.stdout
        recap = self.output.partition("PLAY RECAP")[2]
        counts = {
            name: dict(re.findall(r"(\w+)=(\d+)", line))
            for name, line in re.findall(r"^(\S+) +: (.*)$", recap, re.MULTILINE)
        }
        self.changed, self.failed, self.unreachable = (
            sorted(name for name, found in counts.items() if found[key] != "0")
            for key in ("changed", "failed", "unreachable")
        )


def is_whole(board: Board, releases: Sequence[str]) -> bool:
    """Whether the board runs one of `releases` completely, and nothing is left over from a deployment."""
    runs = board.runs
    leftover = board.pending or (board.home / "incoming").exists()
    return not leftover and runs is not None and runs == board.current and runs in releases and board.is_complete(runs)
