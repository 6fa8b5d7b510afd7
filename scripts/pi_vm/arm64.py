"""Compare arm64 with x86-64, and count instructions: the figures of docs/arm64.json.

usage: scripts/pi-vm.sh arm64 [--write]      (after scripts/run.sh has made .venv, or with PYTHON=another)

A clip of the synthetic camera is processed here and on an emulated board, and the results are compared frame by frame.
Then the board counts the instructions of detection, cropping and classification for each frame. They do not depend on
the machine's load, and show when a change makes the loop more expensive; they do not predict milliseconds.
Exit status: 1 if results differ by more than a tolerance, or instructions by more than 2 % from docs/arm64.json.
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

from pi_vm.board import ROOT, Board, BoardError, log, make_bundle, qemu_version

COMMITTED = ROOT / "docs/arm64.json"
EDGE = "/opt/emotion-edge/current/venv/bin"
PACKAGES = ("opencv-python-headless", "ai-edge-litert", "numpy")
PROCESSOR = "cortex-a72"  # of a Raspberry Pi 4
FRAMES, FPS, NOISE = 240, 10, 4.0  # one period of the synthetic camera; standard deviation in gray levels
COUNTED_FRAMES = 60  # six seconds, in which both faces move and change
MAX_INSTRUCTION_CHANGE = 0.02  # relative to the committed figures
RUN_TIMEOUT_SECONDS = 3600.0  # the counting board runs one thread at a time

# Images are equal on both, crops within a gray level. The model's kernels round differently, and fifty int8 layers
# amplify it: on x86-64 alone the runtime's own two sets of kernels differ as much.
MAX_BOX_DIFFERENCE_PIXELS = 2
MAX_MEAN_PROBABILITY_DIFFERENCE = 0.02
MAX_OTHER_COUNTS = 0.01  # fraction of the frames with another number of faces
MAX_OTHER_LABELS = 0.02  # fraction of the face results with another label


@dataclass(frozen=True)
class Difference:
    """How much the results of two runs over one clip differ."""

    frames: int  # of each
    face_results: int  # compared
    other_counts: int  # frames with another number of faces; excluded from what follows
    other_labels: int  # face results
    max_pixels: int  # largest difference of a box's side or position
    mean_probability: float  # mean absolute difference
    max_probability: float  # largest absolute difference

    @property
    def is_small(self) -> bool:
        """Whether it is within the tolerances. Runs without a face prove nothing."""
        return (
            self.face_results > 0
            and self.other_counts <= MAX_OTHER_COUNTS * self.frames
            and self.other_labels <= MAX_OTHER_LABELS * self.face_results
            and self.max_pixels <= MAX_BOX_DIFFERENCE_PIXELS
            and self.mean_probability <= MAX_MEAN_PROBABILITY_DIFFERENCE
        )


def compare(ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]) -> Difference:
    """Return how much two lists of jsonl objects differ. Raises ValueError unless they are of the same frames."""
    if [line["frame"] for line in ours] != [line["frame"] for line in theirs]:
        raise ValueError(f"{len(ours)} and {len(theirs)} frames, expected the same frames")
    frames = [(a["faces"], b["faces"]) for a, b in zip(ours, theirs, strict=True)]
    pairs = [(a, b) for one, other in frames if len(one) == len(other) for a, b in zip(one, other, strict=True)]
    pixels = [abs(p - q) for a, b in pairs for p, q in zip(a["box"], b["box"], strict=True)]
    probabilities = [
        abs(value - b["probabilities"][label]) for a, b in pairs for label, value in a["probabilities"].items()
    ]
    return Difference(
        frames=len(frames),
        face_results=len(pairs),
        other_counts=sum(len(one) != len(other) for one, other in frames),
        other_labels=sum(a["label"] != b["label"] for a, b in pairs),
        max_pixels=max(pixels, default=0),
        mean_probability=round(sum(probabilities) / max(1, len(probabilities)), 4),
        max_probability=round(max(probabilities, default=0.0), 4),
    )


def changed_instructions(found: dict[str, float], before: dict[str, float]) -> list[str]:
    """Return, as text, the stages whose instructions differ from `before` by more than MAX_INSTRUCTION_CHANGE."""
    changes = {stage: found.get(stage, 0.0) / count - 1 for stage, count in before.items()}
    return [f"{stage}: {change:+.1%}" for stage, change in changes.items() if abs(change) > MAX_INSTRUCTION_CHANGE]


def make_clip(path: Path) -> None:
    """Write FRAMES of two faces with sensor noise, losslessly, so that both machines decode the same images."""
    import cv2
    import numpy as np

    from edge.capture.synthetic import SyntheticScene

    stage, rng = SyntheticScene(face_count=2), np.random.default_rng(1)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"FFV1"), FPS, (stage.width, stage.height))
    for index in range(FRAMES):
        image = stage.image(index / FPS) + rng.normal(0, NOISE, (stage.height, stage.width))
        writer.write(cv2.cvtColor(np.clip(image, 0, 255).astype(np.uint8), cv2.COLOR_GRAY2BGR))
    writer.release()


def parse_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def run_here(clip: Path) -> list[dict[str, Any]]:
    """Return the results of `clip` by this tree on this machine."""
    start = "from edge.cli import main; main()"
    command = [sys.executable, "-c", start, "run", str(clip), "--sink", "jsonl"]
    return parse_lines(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT).stdout)


def run_on_board(clip: Path, bundle: Path) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the results of `clip` by `bundle` on a board, which keeps both, and the versions there."""
    with Board("arm64", fresh=True, PI_VM_CPU=PROCESSOR) as board:
        with board.deploy("--bundle", str(bundle)) as deploying:
            assert deploying.stdout
            for line in deploying.stdout:
                log(f"    {line.rstrip()}")
        if deploying.returncode:
            raise BoardError("the release was not deployed; see the output above")
        # Counting needs the processor for itself, also after the next boot.
        board.run("sudo systemctl disable --now emotion-edge; sudo rm /etc/modules-load.d/camera.conf")
        board.send(clip.read_bytes(), "/home/pi/clip.avi")
        log("processing the clip on the board")
        output = board.run(f"{EDGE}/edge run clip.avi --sink jsonl", limit=RUN_TIMEOUT_SECONDS)
        return parse_lines(output), versions(board)


def versions(board: Board) -> dict[str, str]:
    """Return the versions that the figures depend on."""
    program = f"from importlib.metadata import version; print(*map(version, {PACKAGES}), sep='\\n')"
    output = board.run(f'uname -r; python3 --version; {EDGE}/python -c "{program}"').splitlines()
    return dict(zip(["linux", "python", *PACKAGES, "qemu"], [*output, qemu_version()], strict=True))


def require_same_versions(there: dict[str, str]) -> None:
    """Raise BoardError if a package has another version here: then more than the processor differs."""
    for name in PACKAGES:
        if metadata.version(name) != there[name]:
            raise BoardError(
                f"{name} is {there[name]} on the board and {metadata.version(name)} here; use run.sh's .venv"
            )


def count_on_board() -> dict[str, float]:
    """Return the instructions of each stage for one frame, on the board that has the clip."""
    with Board("arm64", PI_VM_CPU=PROCESSOR, PI_VM_COUNT="1") as board:
        board.send((ROOT / "scripts/pi_vm/count.py").read_bytes(), "/home/pi/count.py")
        log("counting the instructions of the loop")
        output = board.run(
            f"sudo PYTHONHASHSEED=0 {EDGE}/python count.py clip.avi {COUNTED_FRAMES}", limit=RUN_TIMEOUT_SECONDS
        )
    counts: dict[str, float] = json.loads(output)
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(prog="pi-vm.sh arm64", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--write", action="store_true", help=f"replace {COMMITTED.relative_to(ROOT)}")
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="pi-vm-arm64-") as folder:
            clip = Path(folder) / "clip.avi"
            make_clip(clip)
            theirs, board_versions = run_on_board(clip, make_bundle(ROOT))
            require_same_versions(board_versions)
            difference = compare(run_here(clip), theirs)
        counts = count_on_board()
    except BoardError as error:
        log(f"pi-vm.sh: error: {error}")
        return 1
    found = {
        "processor": PROCESSOR,
        "versions": board_versions,
        "results": asdict(difference),
        "instructions": {stage: round(count) for stage, count in sorted(counts.items())},
    }
    print(json.dumps(found, indent=1))
    changed = [] if arguments.write else changed_instructions(counts, json.loads(COMMITTED.read_text())["instructions"])
    if arguments.write:
        COMMITTED.write_text(json.dumps(found, indent=1) + "\n")
    for change in changed:
        log(f"pi-vm.sh: instructions of {change} against {COMMITTED.name}")
    if not difference.is_small:
        log(f"pi-vm.sh: results differ too much from x86-64's; see the tolerances in {Path(__file__).name}")
    return 0 if difference.is_small and not changed else 1


if __name__ == "__main__":
    sys.exit(main())
