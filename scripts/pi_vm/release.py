"""The board that has this project's packages: deployed once, then used with the code of any tree."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pi_vm.board import ROOT, Board, BoardError, log, make_bundle, qemu_version

NAME = "arm64"  # of the board
PYTHON = "/opt/emotion-edge/current/venv/bin/python"
PACKAGES = ("opencv-python-headless", "ai-edge-litert", "numpy")
PROCESSORS = ("cortex-a72", "cortex-a76")  # of a Raspberry Pi 4; of a 5, which has the dot product
UNUSED = ("__pycache__", ".keras")  # ends of names that are not sent to the board
RUN_TIMEOUT_SECONDS = 3600.0  # the counting board runs one thread at a time


def deploy(*, fresh: bool) -> None:
    """Deploy this tree's bundle to a new board; to an existing one only if `fresh`."""
    board = Board(NAME, fresh=True)
    deployed = board.folder / "deployed"
    if deployed.exists() and not fresh:
        return
    bundle = make_bundle(ROOT)
    with board:
        with board.deploy("--bundle", str(bundle)) as deploying:
            assert deploying.stdout
            for line in deploying.stdout:
                log(f"    {line.rstrip()}")
        if deploying.returncode:
            raise BoardError("the release was not deployed; see the output above")
        # Counting needs the processor for itself, also after the next boot.
        board.run("sudo systemctl disable --now emotion-edge; sudo rm -f /etc/modules-load.d/camera.conf")
    deployed.touch()


@contextmanager
def release_board(tree: Path, processor: str = PROCESSORS[0], *, counting: bool = False) -> Iterator[Board]:
    """Boot the board with the code of `tree` in ~/tree and this package in ~/scripts.

    Args:
        counting: its clock is driven by instructions; it has an instruction counter then, and is slow.
    """
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for source, target in ((tree, "tree/edge"), (tree, "tree/models"), (ROOT / "scripts", "scripts/pi_vm")):
            archive.add(
                source / Path(target).name,
                target,
                filter=lambda member: None if member.name.endswith(UNUSED) else member,
            )
    with Board(NAME, PI_VM_CPU=processor, PI_VM_COUNT="1" if counting else "") as board:
        board.send(content.getvalue(), "/home/pi/code.tar")
        board.run("sudo rm -rf tree scripts && tar xf code.tar")
        yield board


def count(board: Board, module: str, *arguments: str) -> str:
    """Return the output of a `module` of this package on a counting board."""
    python = f"sudo PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=tree:scripts {PYTHON}"
    return board.run(f"{python} -m pi_vm.{module} {' '.join(arguments)}", limit=RUN_TIMEOUT_SECONDS)


def versions(board: Board) -> dict[str, str]:
    """Return the versions that the figures depend on."""
    program = f"from importlib.metadata import version; print(*map(version, {PACKAGES}), sep='\\n')"
    output = board.run(f'uname -r; python3 --version; {PYTHON} -c "{program}"').splitlines()
    return dict(zip(["linux", "python", *PACKAGES, "qemu"], [*output, qemu_version()], strict=True))
