"""Reads a Containerfile, and runs it without a container engine: each stage is a copy of one folder with a system."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

# Of this machine, for packages that are installed: a network's own way out, where packages are, and whom to trust. The
# certificates need a place of their own: apt replaces that file when it installs ca-certificates.
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
COPIED_CERTIFICATES = "certificates-of-this-machine.crt"
NETWORK_VARIABLES = re.compile("(https?|no)_proxy|PIP_.*|SSL_CERT_FILE", re.IGNORECASE)


class Instruction(NamedTuple):
    name: str  # in capitals
    arguments: str


def parse(text: str) -> list[Instruction]:
    """Return the instructions of a Containerfile, continued lines joined."""
    lines = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    words = [line.strip().partition(" ") for line in lines if line.strip()]
    return [Instruction(name.upper(), arguments.strip()) for name, _, arguments in words]


def command_of(instructions: Sequence[Instruction], name: str) -> list[str]:
    """Return the words of the last instruction `name`, in JSON form; HEALTHCHECK's are those of its CMD."""
    arguments = [each.arguments for each in instructions if each.name == name][-1]
    words: list[str] = json.loads(arguments[arguments.index("[") :])
    return words


def make_root(system: Path, folder: Path) -> Path:
    """Unpack the archive `system` of a root file system into `folder`, with what names are resolved and trusted by."""
    folder.mkdir()
    subprocess.run(["tar", "--extract", "--file", system, "--directory", folder, "--exclude=./dev/*"], check=True)
    copies = {"/etc/resolv.conf": "etc/resolv.conf", "/etc/hosts": "etc/hosts", CERTIFICATES: COPIED_CERTIFICATES}
    for path, copied in copies.items():
        if Path(path).exists():
            shutil.copy(path, folder / copied)
    return folder


def run_in(root: Path, command: Sequence[str], environment: dict[str, str], user: str = "0") -> str:
    """Run `command` in `root`, with its own processes and mounts, and return its output. Raises AssertionError."""
    identity = f"--userspec={user}:{user}"
    chroot = shutil.which("chroot")  # which $PATH of the container may not find
    mounts = f'mount -t proc proc {root}/proc; mount --rbind /dev {root}/dev; exec {chroot} {identity} {root} "$@"'
    result = subprocess.run(
        [shutil.which("unshare") or "unshare", "--mount", "--pid", "--fork", "/bin/sh", "-ec", mounts, "sh", *command],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert result.returncode == 0, f"{command}: {result.stdout[-2000:]}\n{result.stderr[-3000:]}"
    return result.stdout


def build(
    instructions: Sequence[Instruction], context: Path, system: Path, folder: Path
) -> tuple[Path, dict[str, str]]:
    """Run the instructions of all stages; return the root of the last one, and its environment."""
    stages: dict[str, Path] = {}
    root, environment, working_folder = Path(), {}, "/"
    network = {name: value for name, value in os.environ.items() if NETWORK_VARIABLES.fullmatch(name)}
    network |= {name: f"/{COPIED_CERTIFICATES}" for name in network if network[name] == CERTIFICATES}
    for name, arguments in instructions:
        match name:
            case "FROM":
                _, *alias = arguments.split(" AS ")
                stage = alias[0] if alias else f"stage{len(stages)}"
                root = stages[stage] = make_root(system, folder / f"stage{len(stages)}")
                environment, working_folder = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}, "/"
            case "RUN":
                run_in(root, ["sh", "-ec", f"cd {working_folder}; {arguments}"], environment | network)
            case "WORKDIR":
                working_folder = arguments
                (root / arguments[1:]).mkdir(parents=True, exist_ok=True)
            case "COPY":
                *sources, target = arguments.split()
                origin = stages[sources.pop(0).removeprefix("--from=")] if "--from" in arguments else context
                for source in sources:
                    place = root / working_folder[1:] / target if not target.startswith("/") else root / target[1:]
                    copy(origin / source.lstrip("/"), place, is_folder=target.endswith("/"))
            case "ENV":
                environment |= dict(word.split("=", 1) for word in arguments.split())
    return root, environment


def copy(source: Path, target: Path, *, is_folder: bool) -> None:
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        target = target / source.name if is_folder else target
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
