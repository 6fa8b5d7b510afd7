"""The counts of docs/arm64.json and docs/model-costs.json as the Markdown tables of docs/runtime.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/runtime.md"
# Processor -> board, its clock in Hz. The clocks are the boards' highest, without throttling.
BOARDS = {"cortex-a72": ("Pi 4", 1.8e9), "cortex-a76": ("Pi 5", 2.4e9)}
INSTRUCTIONS_PER_CYCLE = 0.8, 1.5  # assumed, of this mixture of SIMD kernels and Python; not measured on a board
NOT_COUNTED = "-"
STAGES = ("detect", "crop", "classify", "smooth", "capture", "sinks")
SOURCES = ("luma", "yuyv", "mjpeg")
# Of a Cortex-A72, instructions a second: of the loop by scene, and of the rest of the process with a source that is not
# compressed.
LOOP_GOALS = {"nobody": 0.08e9, "calm": 0.20e9, "one_face": 0.40e9, "two_faces": 0.70e9}
MAX_BESIDE_LOOP = 0.10e9
COMPRESSED = ("mjpeg",)

Counts = Mapping[str, Mapping[str, float]]  # "scene source" -> stage -> instructions of a second


def stages(processor: str, scenes: Counts) -> str:
    """Return the stages of each scene on a processor, in million instructions a second."""
    rows = [
        [
            _name(scene),
            *(f"{counts.get(stage, 0) / 1e6:.1f}" for stage in (*STAGES, "loop", "process", "kernel")),
            f"{counts.get('inferences', 0):.1f}",
        ]
        for scene, counts in scenes.items()
    ]
    return _table(
        [f"{_short(processor)}: scene, source", *STAGES, "**loop**", "**process**", "kernel", "inferences"], rows
    )


def boards(seconds: Mapping[str, Counts]) -> str:
    """Return what the process takes of a core of each board, by the assumptions above."""
    header = ["scene, source"]
    for processor, (board, _) in BOARDS.items():
        header += [f"{_short(processor)}, 10^9 a second", f"of a core of a {board}"]
    rows = []
    for scene in next(iter(seconds.values())):
        row = [_name(scene)]
        for processor, (_, clock) in BOARDS.items():
            counts = seconds.get(processor, {}).get(scene)
            if counts is None:
                row += [NOT_COUNTED] * 2
                continue
            most, least = (counts["process"] / (clock * rate) for rate in INSTRUCTIONS_PER_CYCLE)
            row += [f"{counts['process'] / 1e9:.3f}", f"{least:.0%} to {most:.0%}"]
        rows.append(row)
    return _table(header, rows)


class Goal(NamedTuple):
    """A limit, and what was counted, in instructions a second."""

    scene: str  # and source
    of: str
    counted: float
    limit: float

    @property
    def reached(self) -> bool:
        return self.counted <= self.limit


def goals_of(scenes: Mapping[str, Mapping[str, float]]) -> Iterator[Goal]:
    """Yield the goals of the `scenes` that were counted on a Cortex-A72."""
    for scene, counts in scenes.items():
        name, _, source = scene.rpartition(" ")
        if name in LOOP_GOALS:
            yield Goal(_name(scene), "the loop", counts["loop"], LOOP_GOALS[name])
        if source not in COMPRESSED:
            yield Goal(_name(scene), "the process beside the loop", counts["process"] - counts["loop"], MAX_BESIDE_LOOP)


def goals(scenes: Mapping[str, Mapping[str, float]]) -> str:
    """Return what was counted on a Cortex-A72 beside its goal."""
    rows = [
        [
            goal.scene,
            goal.of,
            f"{goal.counted / 1e6:.1f}",
            f"{goal.limit / 1e6:.0f}",
            "yes" if goal.reached else "**no**",
        ]
        for goal in goals_of(scenes)
    ]
    return _table(["scene, source", "instructions of", "10^6 a second", "goal", "reached"], rows)


def before_and_now(before: Mapping[str, Mapping[str, float]], now: Mapping[str, Mapping[str, float]]) -> str:
    """Return what each scene that was counted at both commits costs, in million instructions a second."""
    stages = ("capture", "loop", "process")
    rows = [
        [
            _name(scene),
            *(f"{counts[scene][stage] / 1e6:.1f}" for stage in stages for counts in (before, now)),
            *(f"{counts[scene].get('inferences', 0):.1f}" for counts in (before, now)),
        ]
        for scene in now
        if scene in before
    ]
    header = [f"{stage}{when}" for stage in (*stages, "inferences") for when in (" before", " now")]
    return _table(["A72: scene, source", *header], rows)


def results(clips: Mapping[str, Mapping[str, Any]]) -> str:
    """Return how much the results for each clip differ between an emulated Cortex-A72 and x86-64."""
    rows = [
        [
            clip,
            str(found["frames"]),
            str(found["face_results"]),
            str(found["other_labels"]),
            f"{max(found['label_delays'], default=0.0):g}",
            f"{found['min_iou']:.2f}",
            f"{found['mean_probability']:.4f}",
        ]
        for clip, found in clips.items()
    ]
    header = ["clip", "frames", "results", "labels that differ", "longest, s", "smallest IoU of boxes", "probabilities"]
    return _table(header, rows)


def of_arm64(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield each table of docs/arm64.json."""
    for processor, scenes in content["seconds"].items():
        yield stages(processor, scenes)
    yield boards(content["seconds"])
    yield goals(content["seconds"]["cortex-a72"])
    yield before_and_now(content["baseline"]["seconds"]["cortex-a72"], content["seconds"]["cortex-a72"])
    yield facts(content)
    yield results(content["results"])


def facts(content: Mapping[str, Any]) -> str:
    """Return at which commits was counted, and the most memory that a run takes."""
    memory = content.get("memory")
    rows = [
        ["commit of the counts", content["commit"]],
        ["commit of the counts before", content["baseline"]["commit"]],
        ["most memory of a run, MB", NOT_COUNTED if memory is None else f"{memory['peak_resident_mb']:.0f}"],
    ]
    return _table(["fact", "value"], rows)


def models(content: Mapping[str, Any]) -> str:
    """Return width, input size and costs of each model, and what is known of those that were trained."""
    rows = []
    for row in content["models"]:
        accuracy = row["public_test_accuracy"]
        rows.append(
            [
                f"{row['width']:g}",
                str(row["input_size"]),
                *(_millions(row["instructions"].get(processor)) for processor in BOARDS),
                "" if accuracy is None else f"{accuracy:.1%}",
                row["trained_from"] or "",
            ]
        )
    return _table(["width", "input, pixels", "A72, 10^6 instructions", "A76", "PublicTest", "trained from"], rows)


def replace(text: str, table: str) -> str:
    """Return `text` with `table` in place of the table that has the same header."""
    lines, new = text.split("\n"), table.split("\n")
    start = lines.index(new[0])
    end = lines.index("", start)
    return "\n".join([*lines[:start], *new, *lines[end:]])


def _short(processor: str) -> str:
    return processor.removeprefix("cortex-").upper()


def _millions(instructions: float | None) -> str:
    return NOT_COUNTED if instructions is None else f"{instructions / 1e6:.1f}"


def _name(scene: str) -> str:
    name, _, source = scene.rpartition(" ")
    return f"{name.replace('_', ' ')}, {source}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows))
