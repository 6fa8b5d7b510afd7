"""Environments of the peers: a virtual environment or a folder of npm packages each, outside the checkout."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.protocol import Peer, PeerError

INSTALLED = "installed.json"  # what is in an environment; written when all of it is


@dataclass(frozen=True)
class Environment:
    """Where the adapter of a peer runs."""

    python: str  # of a Python adapter
    modules: Path | None  # the npm packages of a JavaScript adapter


def prepare(peer: Peer, folder: Path) -> Environment:
    """Return the environment of `peer` in `folder`; make it unless it has the same packages. Raises PeerError."""
    if not peer.packages:  # ours
        return Environment(sys.executable, None)
    folder = folder.resolve() / peer.name
    wanted = json.dumps([peer.packages, peer.runtime])
    installed = folder / INSTALLED
    if not (installed.is_file() and installed.read_text() == wanted):
        print(f"{peer.name}: installing {', '.join((*peer.packages, *peer.runtime))} in {folder}", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        for command in _commands(peer, folder):
            _run(peer, command)
        installed.write_text(wanted)
    return Environment(str(folder / "bin/python"), None if peer.is_python else folder / "node_modules")


def _commands(peer: Peer, folder: Path) -> list[list[str]]:
    if not peer.is_python:
        # No scripts of packages: none is needed to run a model.
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--save-exact"]
        return [["npm", "install", "--prefix", str(folder), *options, *peer.packages, *peer.runtime]]
    pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    return [
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [*pip, *peer.runtime],
        [*pip, "--no-deps", *peer.packages],
    ]


def _run(peer: Peer, command: Sequence[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise PeerError(f"{peer.name}: {command[0]} is needed and not installed") from None
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stderr.splitlines() if line.strip()] or ["no message"]
        raise PeerError(f"{peer.name}: {' '.join(command)} failed: {lines[-1].strip()}") from None
