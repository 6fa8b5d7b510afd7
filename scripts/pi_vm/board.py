"""The emulated board of scripts/pi-vm.sh, for programs: run commands, wait for events, cut the power."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
PI_VM = ROOT / "scripts/pi-vm.sh"
DEPLOY = ROOT / "scripts/deploy.sh"
COMMAND_TIMEOUT_SECONDS = 600.0  # of whatever has no limit of its own: emulated, and on a busy machine
CONNECT_TIMEOUT_SECONDS = 60  # of ssh: a busy machine takes 20 s for what a handshake computes
POLL_SECONDS = 0.5  # between two checks of a condition: each one starts a few processes on the board


class BoardError(Exception):
    """The board, or a command on it, failed before anything could be tested."""


class Board:
    """A board, new or in its last state. A context manager: it is started on entry and shut down on exit.

    Args:
        name: of the board; each has its own disk.
        fresh: discard what was written to the disk before.
        settings: environment of pi-vm.sh, e.g. PI_VM_CPU.
    """

    def __init__(self, name: str, *, fresh: bool = False, **settings: str) -> None:
        self._name, self._fresh = name, fresh
        self._environment = {**os.environ, "PI_VM_BOARD": name, "PI_VM_PORT": str(_free_port()), **settings}
        self._sockets = Path(tempfile.mkdtemp(prefix="pi-vm-"))  # short: a socket's path has at most 108 characters
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self.folder = cache / "emotion-edge/pi-vm/boards" / name  # kept until a fresh board is made
        # One connection for many commands: a handshake takes a second under emulation.
        shared = f"-o ControlMaster=auto -o ControlPath={self._sockets}/%C -o ControlPersist=60"
        self._direct_ssh = f"ssh -F {self.folder}/ssh_config"
        self.ssh = f"{self._direct_ssh} -o ConnectTimeout={CONNECT_TIMEOUT_SECONDS} {shared}"

    def __enter__(self) -> Self:
        if self._fresh:
            self._pi_vm("down")
            self._pi_vm("reset")
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pi_vm("down")
        shutil.rmtree(self._sockets, ignore_errors=True)

    def up(self) -> None:
        """Start it; return when ssh reaches it."""
        self._pi_vm("up")

    def cut_power(self) -> None:
        """End it as a power failure does."""
        self._pi_vm("cut")

    def reboot(self, limit: float = COMMAND_TIMEOUT_SECONDS) -> None:
        """Reboot it; return when ssh reaches it again."""
        boot_id = "cat /proc/sys/kernel/random/boot_id"
        before, end = self.run(boot_id), time.monotonic() + limit
        self.run("sudo systemctl reboot", check=False)
        while self.run(boot_id, check=False) in ("", before):
            if time.monotonic() > end:
                raise BoardError(f"no boot within {limit:.0f} s")
            time.sleep(POLL_SECONDS)

    def run(self, command: str, *, check: bool = True, limit: float = COMMAND_TIMEOUT_SECONDS) -> str:
        """Return the output of the shell `command` on the board. If `check`, raises BoardError when it fails."""
        try:
            ended = subprocess.run(
                [*shlex.split(self.ssh), "pi-vm", command],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=limit,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise BoardError(f"no end after {limit:.0f} s: {command}") from None
        if check and ended.returncode:
            raise BoardError(f"{command}: {(ended.stderr or ended.stdout).strip() or ended.returncode}")
        return ended.stdout.strip()

    def send(self, content: bytes, path: str) -> None:
        """Write `content` to `path` on the board, as root."""
        write = f"sudo sh -c {shlex.quote(f'cat >{path}.part && mv {path}.part {path}')}"
        subprocess.run(
            [*shlex.split(self.ssh), "pi-vm", write], input=content, check=True, timeout=COMMAND_TIMEOUT_SECONDS
        )

    def until(self, condition: str, limit: float = COMMAND_TIMEOUT_SECONDS) -> float:
        """Wait until the shell `condition` holds on the board; return the seconds. Raises BoardError after `limit`."""
        start = time.monotonic()
        loop = f"until {condition}; do sleep {POLL_SECONDS}; done"
        waiting = f"timeout {limit:.0f} bash -c {shlex.quote(loop)}"
        try:
            self.run(waiting, limit=limit + COMMAND_TIMEOUT_SECONDS)
        except BoardError:
            raise BoardError(f"not within {limit:.0f} s: {condition}") from None
        return time.monotonic() - start

    def deploy(self, *arguments: str) -> subprocess.Popen[str]:
        """Start scripts/deploy.sh for this board; its stdout has its output line by line."""
        # With a new connection each time, as users have.
        return subprocess.Popen(
            [str(DEPLOY), *arguments, "pi-vm"],
            env={**self._environment, "EMOTION_EDGE_SSH": self._direct_ssh},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
        )

    def _pi_vm(self, command: str) -> None:
        ended = subprocess.run([str(PI_VM), command], env=self._environment, stdout=subprocess.DEVNULL, check=False)
        if ended.returncode:
            raise BoardError(f"'pi-vm.sh {command}' failed for the board {self._name}")


def qemu_version() -> str:
    """Return the version of QEMU, e.g. 7.2.22."""
    program = shutil.which("qemu-system-aarch64") or ""
    output = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return output.split("version ")[1].split()[0]


def make_bundle(tree: Path, *arguments: str) -> Path:
    """Return the bundle for the board, made from `tree`."""
    command = [str(tree / "scripts/bundle.sh"), "--target", "arm64-py3.13", *arguments]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if ended.returncode:
        raise BoardError(f"no bundle of {tree}; see the output above")
    return Path(ended.stdout.splitlines()[-1])


def log(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
