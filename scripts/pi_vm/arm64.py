"""Hold arm64 against x86-64, and count instructions: the figures of docs/arm64.json.

usage: scripts/pi-vm.sh arm64 [--write]      (after scripts/run.sh has made .venv, or with PYTHON=another)

A clip of the synthetic camera's is read here and on an emulated board, and the readings are compared, frame by frame.
Then the board counts the instructions that search, crop and classification take, a frame. They do not depend on what
else a machine does, and say when a change made the loop dearer; they do not say how many milliseconds it takes.
Exit status: 1 if readings differ by more than a tolerance, or instructions by more than 2 % from docs/arm64.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from pi_vm.board import ROOT, Board, BoardError, make_bundle, qemu_version, say

COMMITTED = ROOT / "docs/arm64.json"
EDGE = "/opt/emotion-edge/current/venv/bin"
PACKAGES = ("opencv-python-headless", "ai-edge-litert", "numpy")
PROCESSOR = "cortex-a72"  # of a Raspberry Pi 4
FRAMES, FPS, NOISE = 240, 10, 4.0  # one period of the synthetic camera; gray levels
COUNTED = 60  # frames: six seconds, in which both faces move and change
SLACK = 0.02  # of the instructions that were committed
SECONDS = 3600.0  # that a run may take: the counting board does one thing at a time

# Images are the same on both, crops within a gray level. The kernels of the model round in other places, and fifty
# int8 layers make more of it: on x86-64 alone the runtime's own two sets of kernels are as far apart.
PIXELS = 2  # of a side of a box
SHARE = 0.02  # of a score, at the mean
FACES_APART = 0.01  # of the frames may have another number of faces
LABELS_APART = 0.02  # of the readings may have another label: those between two


@dataclass(frozen=True)
class Difference:
    """How far two runs' readings of one clip are apart."""

    frames: int  # of each
    readings: int  # held against one another
    other_faces: int  # frames with another number of faces; left out of what follows
    other_labels: int  # readings
    pixels: int  # the most that a side of a box differs
    share: float  # that a score differs, at the mean
    most_share: float  # the most that one differs

    @property
    def good(self) -> bool:
        """Whether they are the same within the tolerances. Runs without a face show nothing."""
        return (
            self.readings > 0
            and self.other_faces <= FACES_APART * self.frames
            and self.other_labels <= LABELS_APART * self.readings
            and self.pixels <= PIXELS
            and self.share <= SHARE
        )


def compare(ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]) -> Difference:
    """Return how far readings, lines of the sink jsonl, are apart. Raises ValueError for other frames."""
    if [line["frame"] for line in ours] != [line["frame"] for line in theirs]:
        raise ValueError(f"{len(ours)} and {len(theirs)} frames, expected the same ones")
    both = [(a["faces"], b["faces"]) for a, b in zip(ours, theirs, strict=True)]
    alike = [(a, b) for one, other in both if len(one) == len(other) for a, b in zip(one, other, strict=True)]
    pixels = [abs(p - q) for a, b in alike for p, q in zip(a["box"], b["box"], strict=True)]
    shares = [abs(a["scores"][label] - b["scores"][label]) for a, b in alike for label in a["scores"]]
    return Difference(
        frames=len(both),
        readings=len(alike),
        other_faces=sum(len(one) != len(other) for one, other in both),
        other_labels=sum(a["label"] != b["label"] for a, b in alike),
        pixels=max(pixels, default=0),
        share=round(sum(shares) / max(1, len(shares)), 4),
        most_share=round(max(shares, default=0.0), 4),
    )


def dearer(found: dict[str, float], before: dict[str, float]) -> list[str]:
    """Return what takes more or fewer instructions than `before`, by more than SLACK, in words."""
    changes = {stage: found.get(stage, 0.0) / count - 1 for stage, count in before.items()}
    return [f"{stage}: {change:+.1%}" for stage, change in changes.items() if abs(change) > SLACK]


def make_clip(path: Path) -> None:
    """Write FRAMES of two faces with a sensor's noise, without loss, so that both decode the same."""
    import cv2
    import numpy as np

    from edge.capture.synthetic import SyntheticScene

    stage, rng = SyntheticScene(face_count=2), np.random.default_rng(1)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"FFV1"), FPS, (stage.width, stage.height))
    for index in range(FRAMES):
        image = stage.image(index / FPS) + rng.normal(0, NOISE, (stage.height, stage.width))
        writer.write(cv2.cvtColor(np.clip(image, 0, 255).astype(np.uint8), cv2.COLOR_GRAY2BGR))
    writer.release()


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def read_here(clip: Path) -> list[dict[str, Any]]:
    """Return the readings of `clip` by this tree on this machine."""
    start = "from edge.cli import main; main()"
    command = [sys.executable, "-c", start, "run", str(clip), "--sink", "jsonl"]
    return lines(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT).stdout)


def read_there(clip: Path, bundle: Path) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the readings of `clip` by `bundle` on a board, which keeps both, and the versions there."""
    with Board("arm64", fresh=True, PI_VM_CPU=PROCESSOR) as board:
        with board.deploy("--bundle", str(bundle)) as deploying:
            assert deploying.stdout
            for line in deploying.stdout:
                say(f"    {line.rstrip()}")
        if deploying.returncode:
            raise BoardError("the release was not deployed; the reason stands above")
        # Counting wants the processor for itself, also after the next boot.
        board.run("sudo systemctl disable --now emotion-edge; sudo rm /etc/modules-load.d/camera.conf")
        board.send(clip.read_bytes(), "/home/pi/clip.avi")
        say("reading the clip on the board")
        words = board.run(f"{EDGE}/edge run clip.avi --sink jsonl", limit=SECONDS)
        return lines(words), versions(board)


def versions(board: Board) -> dict[str, str]:
    """Return the versions of what decides about the figures."""
    ask = f"from importlib.metadata import version; print(*map(version, {PACKAGES}), sep='\\n')"
    words = board.run(f'uname -r; python3 --version; {EDGE}/python -c "{ask}"').splitlines()
    return dict(zip(["linux", "python", *PACKAGES, "qemu"], [*words, qemu_version()], strict=True))


def require_same(there: dict[str, str]) -> None:
    """Raise BoardError where a package is another version here: then more than the processor differs."""
    for name in PACKAGES:
        if metadata.version(name) != there[name]:
            raise BoardError(
                f"{name} is {there[name]} on the board and {metadata.version(name)} here; use run.sh's .venv"
            )


def count_there() -> dict[str, float]:
    """Return the instructions of each of the loop's costs, a frame, on the board that has the clip."""
    with Board("arm64", PI_VM_CPU=PROCESSOR, PI_VM_COUNT="1") as board:
        board.send((ROOT / "scripts/pi_vm/count.py").read_bytes(), "/home/pi/count.py")
        say("counting the instructions of the loop")
        words = board.run(f"sudo PYTHONHASHSEED=0 {EDGE}/python count.py clip.avi {COUNTED}", limit=SECONDS)
    counts: dict[str, float] = json.loads(words)
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(prog="pi-vm.sh arm64", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--write", action="store_true", help=f"replace {COMMITTED.relative_to(ROOT)}")
    given = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="pi-vm-arm64-") as folder:
            clip = Path(folder) / "clip.avi"
            make_clip(clip)
            theirs, about = read_there(clip, make_bundle(ROOT))
            require_same(about)
            difference = compare(read_here(clip), theirs)
        counts = count_there()
    except BoardError as error:
        say(f"pi-vm.sh: error: {error}")
        return 1
    found = {
        "processor": PROCESSOR,
        "versions": about,
        "readings": asdict(difference),
        "instructions": {stage: round(count) for stage, count in sorted(counts.items())},
    }
    print(json.dumps(found, indent=1))
    changed = [] if given.write else dearer(counts, json.loads(COMMITTED.read_text())["instructions"])
    if given.write:
        COMMITTED.write_text(json.dumps(found, indent=1) + "\n")
    for change in changed:
        say(f"pi-vm.sh: instructions of {change} against {COMMITTED.name}")
    if not difference.good:
        say(f"pi-vm.sh: readings differ too much from x86-64's, see FACES_APART and the like in {Path(__file__).name}")
    return 0 if difference.good and not changed else 1


if __name__ == "__main__":
    sys.exit(main())
