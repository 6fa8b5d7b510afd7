"""What a board answers to scripts/deploy.sh, on both of its outputs and by its exit status."""

from __future__ import annotations

import os
import platform
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from edge.errors import EmotionEdgeError
from tests.fuzz.door import Door
from tests.support.board import DEPLOY, TARGET, bundle, executable, packed
from tests.support.hostile_text import TOKENS, check_harmless

ANSWER = f"""machine={platform.machine()}
python={TARGET.rpartition("py")[2]} 64
rsync=
free=9000000000
releases=0.1.0+g1a2b3c4:arm64-py3.13 1:{TARGET}
installer=yes
root=yes
"""
TIMEOUT_SECONDS = 1000  # long, since a campaign runs behind all other processes
ACTIONS: tuple[list[str], ...] = ([], ["--status"], ["--rollback"])
STATUSES = (0, 0, 0, 1, 255)
SSH = '#!/bin/sh\ncat "$ANSWER"\ncat "$ANSWER" >&2\nexit "$STATUS"\n'


@cache
def place() -> Path:
    """Return a folder with a stand-in of ssh, and a bundle."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-board-"))
    executable(folder / "ssh", SSH)
    packed(bundle(folder, "1"))
    return folder


def receive(content: bytes) -> None:
    """Deploy to a board whose answer to everything is `content`; its length selects the action and the exit status."""
    folder = place()
    answer = folder / "answer"
    answer.write_bytes(content)
    action = ACTIONS[len(content) % len(ACTIONS)] or ["--bundle", str(folder / f"emotion-edge-1-{TARGET}.tar")]
    status = STATUSES[len(content) % len(STATUSES)]
    result = subprocess.run(
        [DEPLOY, *action, "board"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=TIMEOUT_SECONDS,
        check=False,
        cwd=folder,
        env={**os.environ, "EMOTION_EDGE_SSH": str(folder / "ssh"), "ANSWER": str(answer), "STATUS": str(status)},
    )
    check_harmless(result)
    if result.returncode:
        raise EmotionEdgeError("not deployed")


def seeds() -> list[bytes]:
    # One for each exit status and action.
    return [(ANSWER + "welcome\n"[: 1 + number]).encode() for number in range(6)] + [b"1  calm (12345678)  14.9 fps\n"]


DOOR = Door(seeds, receive, tokens=TOKENS, test_inputs=20, campaign_inputs=1_000)
