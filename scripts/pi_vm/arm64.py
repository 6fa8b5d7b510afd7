"""Compare arm64 with x86-64, and count what a second of a camera costs: the figures of docs/arm64.json.

usage: scripts/pi-vm.sh arm64 [--only PART] [--scene SCENE] [--processor NAME] [--tree FOLDER] [--fresh] [--write]

    results    clips of the synthetic camera are processed here and on an emulated board, and compared frame by frame
    memory     the most memory that `edge run` with the synthetic camera takes on the board
    seconds    the board counts the instructions of `edge run` for a second of a camera, for each scene and processor

Needs scripts/run.sh's .venv, or PYTHON=another with the same packages. Instruction counts do not depend on the load of
the machine, and show when a change makes the loop more expensive; they do not predict milliseconds.
Exit status: 1 if results differ by more than a tolerance, instructions by more than 2 % from docs/arm64.json (not with
--write), or if instructions or memory exceed a goal.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from edge.types import Box
from pi_vm import tables
from pi_vm.board import ROOT, BoardError, log
from pi_vm.release import (
    PACKAGES,
    PROCESSORS,
    PYTHON,
    RUN_TIMEOUT_SECONDS,
    count,
    deploy,
    release_board,
    versions,
)

COMMITTED = ROOT / "docs/arm64.json"
PARTS = ("results", "memory", "seconds")
EDGE = "-c 'from edge.cli import main; main()' run --sink jsonl"  # arguments of Python
Seconds = dict[str, dict[str, dict[str, float]]]  # processor -> "scene source" -> stage -> instructions


@dataclass(frozen=True)
class Clip:
    """A clip of the synthetic camera with sensor noise."""

    faces: int
    fps: int
    frames: int
    noise: float = 4.0  # standard deviation, gray levels
    seed: int = 1  # of the noise


CLIPS = {
    "two faces": Clip(faces=2, fps=10, frames=240),  # one period of the synthetic camera
    "one face": Clip(faces=1, fps=10, frames=240),
    "one face, 30 fps": Clip(faces=1, fps=30, frames=300),
    "one face, more noise": Clip(faces=1, fps=10, frames=240, noise=8.0, seed=2),
    "two faces, 15 fps": Clip(faces=2, fps=15, frames=240, seed=3),
}
# What is counted, "SCENE SOURCE": see pi_vm.scenes and pi_vm.count_run.
SCENES = (
    "nobody luma",
    "nobody yuyv",
    "nobody mjpeg",
    "calm luma",
    "calm yuyv",
    "calm mjpeg",
    "talking yuyv",
    "one_face yuyv",
    "two_faces yuyv",
    "four_faces yuyv",
)
MAX_INSTRUCTION_CHANGE = 0.02  # relative to the committed figure
NEGLIGIBLE_INSTRUCTIONS = 0.005  # of the process: smaller changes of a stage are ignored
MEMORY_FRAMES = 300  # of the synthetic camera: ten seconds
MAX_RESIDENT_MB = 130.0

# Images are equal on both machines, and edge.inference.preprocess enlarges crops by itself. What differs are sums of
# floating-point numbers, which are rounded to gray levels (OpenCV's INTER_AREA) and to steps of the model's output.
MIN_BOX_IOU = (
    0.8  # of each face result. Boxes depend on the ones before: one level may move those of a whole appearance
)
MAX_MEAN_PROBABILITY_DIFFERENCE = 0.002
MAX_OTHER_COUNTS = 0.01  # fraction of the frames with another number of faces
MAX_OTHER_LABELS = 0.01  # fraction of the face results with another label
MAX_LABEL_DELAY_SECONDS = 0.5  # for which a face may have different labels


@dataclass(frozen=True)
class Difference:
    """How much the results of two runs over one clip differ."""

    frames: int  # of each
    face_results: int  # compared
    other_counts: int  # frames with another number of faces; excluded from what follows
    other_labels: int  # face results
    label_delays: tuple[float, ...]  # seconds, of each uninterrupted time in which a face has different labels
    max_pixels: int  # largest difference of a box's side or position
    min_iou: float  # of the boxes of a face result
    mean_probability: float  # mean absolute difference
    max_probability: float  # largest absolute difference

    @property
    def is_small(self) -> bool:
        """Whether it is within the tolerances. Runs without a face prove nothing."""
        return (
            self.face_results > 0
            and self.other_counts <= MAX_OTHER_COUNTS * self.frames
            and self.other_labels <= MAX_OTHER_LABELS * self.face_results
            and max(self.label_delays, default=0.0) <= MAX_LABEL_DELAY_SECONDS
            and self.min_iou >= MIN_BOX_IOU
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
        label_delays=tuple(label_delays(ours, theirs)),
        max_pixels=max(pixels, default=0),
        min_iou=round(min((Box(*a["box"]).iou(Box(*b["box"])) for a, b in pairs), default=1.0), 4),
        mean_probability=round(sum(probabilities) / max(1, len(probabilities)), 4),
        max_probability=round(max(probabilities, default=0.0), 4),
    )


def label_delays(ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]) -> Iterator[float]:
    """Yield the seconds of each uninterrupted time in which the label of a face differs in two lists of results."""
    since: dict[int, float] = {}  # track id -> time of the first different label
    for one, other in zip(ours, theirs, strict=True):
        pairs = zip(one["faces"], other["faces"], strict=False)
        different = {a["track_id"] for a, b in pairs if a["label"] != b["label"]}
        for track_id in since.keys() - different:
            yield round(one["time"] - since.pop(track_id), 3)
        since |= dict.fromkeys(different - since.keys(), one["time"])
    yield from (round(ours[-1]["time"] - start, 3) for start in since.values())


def changed_instructions(found: Mapping[str, float], before: Mapping[str, float]) -> list[str]:
    """Return, as text, the stages of a scene whose instructions differ from `before` by more than the tolerances."""
    negligible = NEGLIGIBLE_INSTRUCTIONS * before["process"]
    changes = {stage: found.get(stage, 0.0) - count for stage, count in before.items()}
    return [
        f"{stage}: {change / before[stage]:+.1%}"
        for stage, change in changes.items()
        if abs(change) > max(MAX_INSTRUCTION_CHANGE * before[stage], negligible)
    ]


def missed_goals(seconds: Seconds) -> list[str]:
    """Return, as text, what exceeds a goal of pi_vm.tables or of this function: a Cortex-A76 has the dot product."""
    missed = [
        f"Cortex-A72, {goal.scene}: {goal.counted / 1e6:.1f} million instructions a second of {goal.of}, "
        f"goal {goal.limit / 1e6:.0f}"
        for goal in tables.goals_of(seconds["cortex-a72"])
        if not goal.reached
    ]
    inference = {
        processor: scenes["calm yuyv"]["classify"] / scenes["calm yuyv"]["inferences"]
        for processor, scenes in seconds.items()
        if scenes.get("calm yuyv", {}).get("inferences")
    }
    if len(inference) == len(PROCESSORS) and inference["cortex-a76"] > inference["cortex-a72"] / 2:
        missed.append("an inference on a Cortex-A76 takes more than half of the instructions of a Cortex-A72's")
    return missed


def make_clip(clip: Clip, path: Path) -> None:
    """Write `clip` losslessly, so that both machines decode the same images."""
    import cv2
    import numpy as np

    from edge.capture.synthetic import SyntheticScene

    scene, rng = SyntheticScene(face_count=clip.faces), np.random.default_rng(clip.seed)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"FFV1"), clip.fps, (scene.width, scene.height))
    for index in range(clip.frames):
        image = scene.image(index / clip.fps) + rng.normal(0, clip.noise, (scene.height, scene.width))
        writer.write(cv2.cvtColor(np.clip(image, 0, 255).astype(np.uint8), cv2.COLOR_GRAY2BGR))
    writer.release()


def compare_clips(tree: Path) -> tuple[dict[str, str], dict[str, Difference]]:
    """Return the versions on the board, and for each clip how much the results of `tree` there and here differ."""
    differences = {}
    with release_board(tree) as board, tempfile.TemporaryDirectory() as folder:
        there = versions(board)
        for package in PACKAGES:
            if metadata.version(package) != there[package]:  # then more than the processor differs
                here = metadata.version(package)
                raise BoardError(f"{package} is {there[package]} on the board and {here} here; use run.sh's .venv")
        for name, clip in CLIPS.items():
            log(f"processing the clip '{name}' here and on the board")
            path = Path(folder) / "clip.avi"
            make_clip(clip, path)
            board.send(path.read_bytes(), "/home/pi/clip.avi")
            theirs = board.run(f"PYTHONPATH=tree {PYTHON} {EDGE} clip.avi", limit=RUN_TIMEOUT_SECONDS)
            command = [sys.executable, *shlex.split(EDGE), str(path)]
            ours = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=tree).stdout
            differences[name] = compare(*([json.loads(line) for line in text.splitlines()] for text in (ours, theirs)))
    return there, differences


def measure_memory(tree: Path) -> dict[str, float]:
    """Return the most memory that `edge run` with the synthetic camera takes on the board, in MB."""
    program = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6)"
    )
    with release_board(tree) as board:
        log("measuring memory on the board")
        command = f"{PYTHON} {EDGE} synthetic --max-frames {MEMORY_FRAMES}"
        peak = board.run(f"PYTHONPATH=tree {PYTHON} -c {shlex.quote(program)} {command}", limit=RUN_TIMEOUT_SECONDS)
    return {"frames": MEMORY_FRAMES, "peak_resident_mb": round(float(peak), 1)}


def commit_of(tree: Path) -> str:
    """Return the commit of the folder `tree`, with a + if its code differs from it; empty if it has none."""
    git = ["git", "-C", str(tree)]
    head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout
    changes = subprocess.run(
        [*git, "status", "--porcelain", "edge", "models"], capture_output=True, text=True, check=False
    ).stdout
    return head.strip() + ("+" if changes else "")


def count_seconds(tree: Path, processors: Sequence[str], scenes: Sequence[str]) -> tuple[dict[str, str], Seconds]:
    """Return the versions on the board, and what a second of a camera costs with `tree`."""
    found: Seconds = {}
    for processor in processors:
        with release_board(tree, processor, counting=True) as board:
            there = versions(board)
            log(f"{processor}: counting {', '.join(scenes)}")
            found[processor] = {}
            for line in count(board, "count_run", *map(shlex.quote, scenes)).splitlines():
                for scene, counts in json.loads(line).items():
                    found[processor][scene] = {
                        name: n if name == "inferences" else round(n) for name, n in counts.items()
                    }
    return there, found


def changed_seconds(found: Seconds, before: Seconds) -> list[str]:
    """Return, as text, what differs by more than the tolerances from what was counted `before`."""
    return [
        f"{processor}, {scene}: instructions of {change} against {COMMITTED.name}"
        for processor, scenes in found.items()
        for scene, counts in scenes.items()
        if scene in before.get(processor, {})
        for change in changed_instructions(counts, before[processor][scene])
    ]


def write(content: dict[str, Any]) -> None:
    """Write docs/arm64.json, and its tables in docs/runtime.md."""
    COMMITTED.write_text(json.dumps(content, indent=1) + "\n")
    text = tables.DOCUMENT.read_text()
    for table in tables.of_arm64(content):
        text = tables.replace(text, table)
    tables.DOCUMENT.write_text(text)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="pi-vm.sh arm64", description=__doc__.splitlines()[0] if __doc__ else None)
    repeatable: dict[str, Any] = {"action": "append", "help": "only this one; repeatable"}
    parser.add_argument("--only", choices=PARTS, **repeatable)
    parser.add_argument("--scene", choices=SCENES, **repeatable)
    parser.add_argument("--processor", choices=PROCESSORS, **repeatable)
    parser.add_argument("--tree", type=Path, default=ROOT, help="folder with another version of edge/ and models/")
    parser.add_argument("--fresh", action="store_true", help="deploy to a new board, as the first run does")
    parser.add_argument(
        "--write", action="store_true", help=f"replace what was found in {COMMITTED.relative_to(ROOT)}, and its tables"
    )
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    parts = arguments.only or PARTS
    committed = json.loads(COMMITTED.read_text())
    problems = []
    try:
        deploy(fresh=arguments.fresh)
        if "results" in parts:
            committed["versions"], differences = compare_clips(arguments.tree)
            found = {name: asdict(difference) for name, difference in differences.items()}
            print(json.dumps(found, indent=1))
            committed["results"] = found
            problems += [
                f"results of '{name}' differ too much from x86-64's; see the tolerances in {Path(__file__).name}"
                for name, difference in differences.items()
                if not difference.is_small
            ]
        if "memory" in parts:
            committed["memory"] = measure_memory(arguments.tree)
            print(json.dumps(committed["memory"]))
            if committed["memory"]["peak_resident_mb"] > MAX_RESIDENT_MB:
                problems.append(f"{committed['memory']['peak_resident_mb']} MB of memory, goal {MAX_RESIDENT_MB:g}")
        if "seconds" in parts:
            committed["versions"], seconds = count_seconds(
                arguments.tree, arguments.processor or PROCESSORS, arguments.scene or SCENES
            )
            for processor, scenes in seconds.items():
                print(tables.stages(processor, scenes))
            if not arguments.write:
                problems += changed_seconds(seconds, committed["seconds"])
            for processor, scenes in seconds.items():
                committed["seconds"].setdefault(processor, {}).update(scenes)
            committed["commit"] = commit_of(arguments.tree)
            problems += missed_goals(committed["seconds"])
    except BoardError as error:
        log(f"pi-vm.sh: error: {error}")
        return 1
    if arguments.write:
        write(committed)
    for problem in problems:
        log(f"pi-vm.sh: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
