"""What can be tested without an emulated board: its commands, its camera's image, and the reports."""

import importlib
import json
import os
import re
import shlex
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import pytest
from pi_vm import arm64 as pi_vm_arm64
from pi_vm import board as pi_vm_board
from pi_vm import count_models as pi_vm_count_models
from pi_vm import count_run as pi_vm_count_run
from pi_vm import e2e as pi_vm_e2e
from pi_vm import face as pi_vm_face
from pi_vm import models as pi_vm_models
from pi_vm import release as pi_vm_release
from pi_vm import scenes as pi_vm_scenes
from pi_vm import tables as pi_vm_tables

from edge.config.models import shipped_model
from edge.detection.haar import HaarDetector
from edge.errors import ModelError
from edge.inference.classifier import Classifier
from edge.types import Box
from tests.support.paths import ROOT

KIOSK = cast("pi_vm_e2e.Kiosk", None)  # no board: these cases do not use it
EMOTIONS = {"happy": 0.9, "sad": 0.1}


def pi_vm(*arguments, path=os.environ["PATH"], **environment):
    return subprocess.run(
        ["/bin/bash", ROOT / "scripts/pi-vm.sh", *arguments],
        env={"PATH": path, "HOME": "/nonexistent", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def case(name="kill", observed="a new process"):
    return pi_vm_e2e.Case(name, "kill -9", "recovers", lambda _: (observed, 3.4))


def face(box=(10, 20, 100, 100), label="happy", **probabilities):
    return {
        "track_id": 1,
        "box": list(box),
        "label": label,
        "confidence": 0.9,
        "probabilities": {**EMOTIONS, **probabilities},
    }


def line(frame, *faces):
    return {"time": frame / 30, "frame": frame, "faces": list(faces)}


# ---- pi-vm.sh


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ([], 2, "scripts/pi-vm.sh up"),
        (["boot"], 2, "no command 'boot'; there are up, ssh"),
        (["up", "now"], 2, "'up' takes no argument, found 'now'"),
        (["cut"], 1, "does not run"),
        (["ssh", "true"], 1, "start it with 'scripts/pi-vm.sh up'"),
    ],
)
def test_a_refused_command_is_one_line_with_its_exit_status(arguments, status, words, tmp_path):
    ended = pi_vm(*arguments, XDG_CACHE_HOME=str(tmp_path))
    assert ended.returncode == status
    assert words in ended.stderr
    assert not ended.stdout


def test_a_board_name_that_is_a_path_is_refused(tmp_path):
    ended = pi_vm("reset", XDG_CACHE_HOME=str(tmp_path), PI_VM_BOARD="../..")
    assert ended.returncode == 2
    assert "PI_VM_BOARD is '../..'" in ended.stderr


def test_missing_programs_are_named_with_their_packages(tmp_path):
    bare = tmp_path / "bin"
    bare.mkdir()
    for program in ("dirname", "grep", "cat"):
        (bare / program).symlink_to(f"/usr/bin/{program}")
    ended = pi_vm("up", path=str(bare), XDG_CACHE_HOME=str(tmp_path))
    assert ended.returncode == 1
    assert "sudo apt install qemu-system-arm qemu-utils openssh-client" in ended.stderr


def test_another_process_is_never_taken_for_the_board(tmp_path):
    board = tmp_path / "emotion-edge/pi-vm/boards/pi-vm"
    board.mkdir(parents=True)
    with subprocess.Popen(["sleep", "60"]) as other:
        (board / "pid").write_text(str(other.pid))
        assert pi_vm("cut", XDG_CACHE_HOME=str(tmp_path)).returncode == 1
        assert other.poll() is None
        other.kill()


# ---- the camera's image


def test_the_camera_image_has_a_happy_face():
    raw = np.frombuffer(pi_vm_face.yuyv(pi_vm_face.read_face("happy")), np.uint8)
    gray = raw.reshape(pi_vm_face.HEIGHT, pi_vm_face.WIDTH, 2)[..., 0]
    detections = HaarDetector().detect(gray)
    assert [detection.box.iou(Box(200, 120, 240, 240)) > 0.6 for detection in detections] == [True]
    model = Classifier(shipped_model())
    probabilities = model.classify(model.prepare(gray, detections[0].box))
    assert model.card.labels[int(probabilities.argmax())] == "happy"
    assert cv2.cvtColor(raw.reshape(480, 640, 2), cv2.COLOR_YUV2GRAY_YUYV).tolist() == gray.tolist()


def test_the_face_is_enlarged_and_fades_into_the_background():
    levels, side = pi_vm_face.read_face("happy")
    raw = np.frombuffer(pi_vm_face.yuyv((levels, side)), np.uint8)
    shown = raw.reshape(480, 640, 2)[120:360, 200:440, 0].astype(int)
    face = np.frombuffer(levels, np.uint8).reshape(side, side)
    expected = cv2.resize(face, (240, 240), interpolation=cv2.INTER_LINEAR).astype(int)
    inside = np.s_[60:180, 60:180]
    assert np.abs(shown - expected)[inside].mean() < 4  # OpenCV aligns the grids slightly differently
    assert set(shown[0]) | set(shown[-1]) | set(shown[:, 0]) | set(shown[:, -1]) == {pi_vm_face.BACKGROUND}


# ---- the table


def test_the_table_has_a_row_for_each_case_and_failure():
    rows = [
        pi_vm_e2e.try_case(case(), KIOSK),
        pi_vm_e2e.Row(case(), "not within 300 s: a | b", None, passed=False),
    ]
    lines = pi_vm_e2e.table(rows).splitlines()
    assert lines[2] == "| kill -9 | recovers | a new process | 3 | as expected |"
    assert lines[3] == r"| kill -9 | recovers | not within 300 s: a \| b |  | **NOT** |"
    assert "1 of 2 as expected" in pi_vm_e2e.report(rows, "On a board.")


@pytest.mark.parametrize(
    "error", [pi_vm_e2e.UnexpectedError("2 restarts"), pi_vm_board.BoardError("no end\nafter 300 s")]
)
def test_a_failed_case_is_a_row_with_the_observed_error(error):
    def act(kiosk):
        raise error

    row = pi_vm_e2e.try_case(pi_vm_e2e.Case("kill", "kill -9", "recovers", act), KIOSK)
    assert not row.passed
    assert row.observed == str(error).replace("\n", " ")


def test_a_deployment_with_another_result_is_unexpected():
    output = ["deploy.sh: making the bundle", "pi-vm: install.sh: error: not enough space at /opt"]
    deployment = pi_vm_e2e.Deployment(1, output, 3.0)
    assert deployment.last_message == "not enough space at /opt"
    deployment.require(1, "not enough space")
    for status, words in ((0, "not enough space"), (1, "running: ")):
        with pytest.raises(pi_vm_e2e.UnexpectedError, match=f"exit status 1, expected {status} and '{words}'"):
            deployment.require(status, words)


def test_an_interrupted_run_resumes_with_the_next_case(tmp_path, monkeypatch):
    done: list[str] = []

    def act(name, error=None):
        def acted(_):
            if error and not done.count(name):
                done.append(name)
                raise error
            done.append(name)
            return f"observed {name}", 1.0

        return acted

    names = ("deploy", "kill", "hang")
    errors = {"kill": pi_vm_board.BoardError("no"), "hang": KeyboardInterrupt()}
    cases = [pi_vm_e2e.Case(name, name, "", act(name, errors.get(name))) for name in names]
    monkeypatch.setattr(pi_vm_e2e, "CASES", cases)
    with pytest.raises(KeyboardInterrupt):
        pi_vm_e2e.try_cases(KIOSK, None, tmp_path / "rows.json")
    rows = pi_vm_e2e.try_cases(KIOSK, None, tmp_path / "rows.json")
    assert done == ["deploy", "kill", "hang", "hang"]
    assert [(row.case.name, row.observed, row.passed) for row in rows] == [
        ("deploy", "observed deploy", True),
        ("kill", "no", False),  # a failure stays: it is a result
        ("hang", "observed hang", True),
    ]


def test_a_single_case_keeps_the_rows_of_a_complete_run(tmp_path, monkeypatch):
    monkeypatch.setattr(pi_vm_e2e, "CASES", [case("kill"), case("hang")])
    rows = pi_vm_e2e.try_cases(KIOSK, ["hang"], tmp_path / "rows.json")
    assert [row.case.name for row in rows] == ["hang"]
    assert not list(tmp_path.iterdir())


def test_the_copied_model_loads_and_the_truncated_one_does_not(tmp_path):
    other, truncated = pi_vm_e2e.make_models(tmp_path)
    assert other.read_bytes() != shipped_model().read_bytes()
    assert Classifier(other).card == Classifier(shipped_model()).card
    with pytest.raises(ModelError):
        Classifier(truncated)


def test_a_misspelled_case_lists_the_names():
    ended = pi_vm("e2e", "--only", "explosion")
    assert ended.returncode == 2
    assert re.search("'deploy'?, .*'?rollback", ended.stderr)


def test_a_release_is_named_as_its_bundle():
    bundle = Path("dist/emotion-edge-0.1.0+g1a2b3c4.m99-arm64-py3.13.tar")
    assert pi_vm_e2e.release_of(bundle) == "0.1.0+g1a2b3c4.m99"


# ---- arm64 and x86-64


def test_equal_results_pass_and_missing_results_fail():
    ours = [line(0), line(1, face()), line(2, face(), face())]
    same = pi_vm_arm64.compare(ours, ours)
    assert same == pi_vm_arm64.Difference(3, 3, 0, 0, (), 0, 1.0, 0.0, 0.0)
    assert same.is_small
    assert not pi_vm_arm64.compare([line(0)], [line(0)]).is_small


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ([face(box=(30, 20, 100, 100))], {"max_pixels": 20, "min_iou": pytest.approx(8 / 12, abs=1e-4)}),
        ([face(happy=0.8)], {"mean_probability": pytest.approx(0.025), "max_probability": pytest.approx(0.1)}),
        ([], {"other_counts": 1, "face_results": 1}),
    ],
)
def test_each_kind_of_difference_is_reported_and_fails(other, expected):
    found = pi_vm_arm64.compare([line(0, face()), line(1, face())], [line(0, face()), line(1, *other)])
    assert {name: getattr(found, name) for name in expected} == expected
    assert not found.is_small


def labels(text):
    """Return the results for one face at 10 frames per second, with a label for each letter."""
    return [{**line(index, face(label=label)), "time": index / 10} for index, label in enumerate(text)]


@pytest.mark.parametrize(
    ("ours", "theirs", "delays", "is_small"),
    [
        ("a" * 300 + "b" * 200, "a" * 304 + "b" * 196, (0.4,), True),
        ("a" * 300 + "b" * 1000, "a" * 309 + "b" * 991, (0.9,), False),  # too long
        ("a" * 10 + "b" * 90, "a" * 12 + "b" * 88, (0.2,), False),  # too many of all
        ("aabb", "abbc", (0.1, 0.0), False),
    ],
)
def test_a_label_may_come_a_little_later_and_seldom(ours, theirs, delays, is_small):
    found = pi_vm_arm64.compare(labels(ours), labels(theirs))
    assert found.label_delays == delays
    assert found.is_small == is_small


def test_results_of_other_frames_are_not_compared():
    with pytest.raises(ValueError, match="2 and 1 frames"):
        pi_vm_arm64.compare([line(0), line(1)], [line(0)])


# ---- instruction counts


class FakeCounter:
    """Counts how often it is read."""

    def __init__(self, **_: bool) -> None:
        self._reads = 0

    def read(self) -> int:
        self._reads += 1
        return self._reads


@pytest.fixture
def few_frames(monkeypatch):
    monkeypatch.setattr(pi_vm_count_run, "InstructionCounter", FakeCounter)
    monkeypatch.setattr("pi_vm.instructions.InstructionCounter", FakeCounter)
    monkeypatch.setattr(pi_vm_count_run, "WARM_UP_FRAMES", 1)
    # Over 0.5 s: a certain face is classified that often. Sooner depends on how the frames' times are rounded.
    monkeypatch.setattr(pi_vm_count_run, "COUNTED_FRAMES", 20)
    monkeypatch.setattr("edge.inference.budget.InferenceBudget", lambda: None)  # a busy machine could have no time
    for path in pi_vm_count_run.STAGES:  # they are replaced, and restored after the test
        owner, method = pi_vm_count_run.find_method(path)
        monkeypatch.setattr(owner, method, getattr(owner, method))


@pytest.mark.parametrize("source", ["luma", "yuyv", "mjpeg"])
def test_a_run_of_each_source_is_counted_in_all_stages(source, few_frames):
    counts = pi_vm_count_run.count("calm", source)
    assert set(counts) == {*pi_vm_tables.STAGES, "loop", "process", "kernel", "inferences"}
    assert all(counts.values())
    assert counts["inferences"] <= 30  # of one face at 30 fps


def test_nobody_is_never_classified(few_frames):
    counts = pi_vm_count_run.count("nobody", "luma")
    assert not counts.get("inferences")
    assert counts["detect"]


def test_a_replaced_camera_delivers_what_a_usb_camera_does():
    gray = pi_vm_scenes.draw("calm", 30, 1)[0]
    yuyv = pi_vm_count_run.encode(gray, "yuyv")
    assert cv2.cvtColor(yuyv, cv2.COLOR_YUV2GRAY_YUYV).tolist() == gray.tolist()
    jpeg = np.asarray(cv2.imdecode(pi_vm_count_run.encode(gray, "mjpeg"), cv2.IMREAD_GRAYSCALE), int)
    assert np.abs(jpeg - gray).mean() < 3


def test_only_the_mouth_moves_in_the_scene_of_a_talking_face():
    first, again = (pi_vm_scenes.draw("talking", 30, 3) for _ in range(2))
    assert np.array_equal(first, again)
    closed, opened = (pi_vm_scenes.talking(seconds).astype(int) for seconds in (0.0, 0.04))  # it has not swayed yet
    rows = np.flatnonzero(np.abs(closed - opened).max(axis=1))
    assert rows.min() > 240
    assert len(rows) > 40


class FakeBoard:
    """Stands for a booted board: keeps the sizes of the files that were sent."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}

    def send(self, content: bytes, path: str) -> None:
        self.sizes[Path(path).name] = len(content)


def boot_fakes(monkeypatch, module, count):
    """Replace the boards of `module`: each counts by `count`(processor, board, arguments)."""
    booted = []

    @contextmanager
    def boot(tree, processor, *, counting):
        assert counting
        booted.append(processor)
        yield FakeBoard()

    monkeypatch.setattr(module, "release_board", boot)
    monkeypatch.setattr(module, "versions", lambda _: {"python": "3.13"})
    monkeypatch.setattr(module, "count", lambda board, _, *arguments: count(booted[-1], board, arguments))


def test_seconds_are_counted_on_each_processor(monkeypatch):
    def count(processor, _, arguments):
        return "\n".join(json.dumps({shlex.split(a)[0]: {"process": len(processor) + 0.4}}) for a in arguments)

    boot_fakes(monkeypatch, pi_vm_arm64, count)
    found = pi_vm_arm64.count_seconds(ROOT, ["cortex-a72", "a76"], ["calm yuyv", "nobody luma"])[1]
    counts = {"calm yuyv": {"process": 10}, "nobody luma": {"process": 10}}
    assert found["cortex-a72"] == counts
    assert list(found) == ["cortex-a72", "a76"]


class HereAsBoard(FakeBoard):
    """A board whose commands are executed here, in the folder `home`."""

    def __init__(self, home: Path) -> None:
        super().__init__()
        self.home = home

    def send(self, content: bytes, path: str) -> None:
        (self.home / Path(path).name).write_bytes(content)

    def run(self, command: str, limit: float) -> str:
        return subprocess.check_output(command, shell=True, cwd=self.home, text=True, timeout=limit)


@pytest.mark.slow
def test_a_clip_is_processed_by_the_tree_here_and_on_the_board(tmp_path, monkeypatch):
    (tmp_path / "tree").symlink_to(ROOT)
    monkeypatch.setattr(pi_vm_arm64, "PYTHON", sys.executable)
    monkeypatch.setattr(pi_vm_arm64, "release_board", lambda _: nullcontext(HereAsBoard(tmp_path)))
    monkeypatch.setattr(pi_vm_arm64, "versions", lambda _: {name: version(name) for name in pi_vm_release.PACKAGES})
    monkeypatch.setattr(pi_vm_arm64, "CLIPS", {"short": pi_vm_arm64.Clip(faces=1, fps=10, frames=12)})
    difference = pi_vm_arm64.compare_clips(ROOT)[1]["short"]
    assert difference.face_results > 0
    assert difference == pi_vm_arm64.Difference(12, difference.face_results, 0, 0, (), 0, 1.0, 0.0, 0.0)


@pytest.mark.slow
def test_the_most_memory_of_a_run_is_measured(tmp_path, monkeypatch):
    (tmp_path / "tree").symlink_to(ROOT)
    monkeypatch.setattr(pi_vm_arm64, "PYTHON", sys.executable)
    monkeypatch.setattr(pi_vm_arm64, "MEMORY_FRAMES", 5)
    monkeypatch.setattr(pi_vm_arm64, "release_board", lambda _: nullcontext(HereAsBoard(tmp_path)))
    found = pi_vm_arm64.measure_memory(ROOT)
    assert found["frames"] == 5
    assert 50 < found["peak_resident_mb"] < 500


def test_counts_name_their_commit_and_changes_to_it(tmp_path):
    assert pi_vm_arm64.commit_of(tmp_path) == ""
    git = ["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run([*git, *command], check=True)
    commit = pi_vm_arm64.commit_of(tmp_path)
    assert re.fullmatch("[0-9a-f]{7,}", commit)
    (tmp_path / "edge").mkdir()
    (tmp_path / "edge/new.py").touch()
    assert pi_vm_arm64.commit_of(tmp_path) == f"{commit}+"


def scene_counts(**counts):
    return {"loop": 60e6, "process": 70e6, "classify": 78e6, "inferences": 2.0, **counts}


@pytest.mark.parametrize(
    ("scene", "counts", "missed"),
    [
        ("nobody luma", {}, ""),
        ("nobody luma", {"loop": 81e6, "process": 90e6}, "nobody, luma: 81.0 million .* the loop, goal 80"),
        ("calm yuyv", {"loop": 199e6, "process": 301e6}, "calm, yuyv: 102.0 million .* beside the loop, goal 100"),
        ("calm mjpeg", {"loop": 199e6, "process": 500e6}, ""),  # compressed
        ("four_faces yuyv", {"loop": 900e6, "process": 990e6}, ""),  # no goal for its loop
    ],
)
def test_what_exceeds_a_goal_is_named(scene, counts, missed):
    found = pi_vm_arm64.missed_goals({"cortex-a72": {scene: scene_counts(**counts)}})
    assert len(found) == bool(missed)
    assert re.search(missed, "".join(found))


def test_an_inference_must_cost_half_with_the_dot_product():
    seconds = {processor: {"calm yuyv": scene_counts()} for processor in pi_vm_release.PROCESSORS}
    assert "more than half" in "".join(pi_vm_arm64.missed_goals(seconds))
    seconds["cortex-a76"]["calm yuyv"]["classify"] /= 2
    assert pi_vm_arm64.missed_goals(seconds) == []


def test_each_model_file_gets_its_own_count(tmp_path, monkeypatch):
    def count(processor, board, names):
        return json.dumps({name: {"instructions": board.sizes[name], "on": processor} for name in reversed(names)})

    boot_fakes(monkeypatch, pi_vm_models, count)
    paths = [tmp_path / name for name in ("b.tflite", "a.tflite")]
    for size, path in enumerate(paths, start=1):
        path.write_bytes(bytes(size))
    costs = pi_vm_models.count_files(paths)[1]
    assert [found["cortex-a76"]["instructions"] for found in costs] == [1, 2]
    assert costs[1]["cortex-a72"] == {"instructions": 2, "on": "cortex-a72"}


def test_operators_of_no_delegate_are_found_from_the_output():
    def operator(index, name, inputs, outputs):
        return {"index": index, "op_name": name, "inputs": inputs, "outputs": outputs}

    operators = [
        operator(0, "QUANTIZE", [0], [1]),
        operator(1, "CONV_2D", [1, 8], [2]),
        operator(2, "MEAN", [2], [3]),
        operator(3, "SOFTMAX", [3], [4]),
        operator(4, "DELEGATE", [1, 8], [3]),  # of 1 and 2
    ]
    assert pi_vm_count_models.executed_by_runtime(operators, [4]) == ["SOFTMAX", "QUANTIZE"]
    assert pi_vm_count_models.executed_by_runtime(operators[:4], [4]) == ["SOFTMAX", "MEAN", "CONV_2D", "QUANTIZE"]


def test_instructions_may_change_by_two_percent():
    before = {"process": 1_000_000, "detect": 500_000, "smooth": 1000}
    assert pi_vm_arm64.changed_instructions(before | {"detect": 509_000, "smooth": 5000}, before) == []
    changed = {"process": 1_021_000, "detect": 489_000, "smooth": 7000}
    assert pi_vm_arm64.changed_instructions(changed, before) == ["process: +2.1%", "detect: -2.2%", "smooth: +600.0%"]
    assert pi_vm_arm64.changed_instructions({"process": 1_000_000, "smooth": 1000}, before) == ["detect: -100.0%"]


def test_a_scene_that_was_not_counted_before_has_not_changed():
    before = {"cortex-a72": {"calm yuyv": {"process": 1.00e6}}}
    new = {"new": {"process": 1e6}}
    found = {"cortex-a72": {"calm yuyv": {"process": 1.03e6}} | new, "cortex-a76": new}
    changes = pi_vm_arm64.changed_seconds(found, before)
    assert changes == ["cortex-a72, calm yuyv: instructions of process: +3.0% against arm64.json"]


def test_figures_of_trained_models_survive_a_new_count():
    row = {"width": 1.0, "input_size": 128, "instructions": {}}
    found = {"models": [row | pi_vm_models.MEASURED]}
    trained = {"public_test_accuracy": 0.7, "trained_from": "ImageNet"}
    pi_vm_models.keep_measured(found, {"models": [row | trained]})
    assert found["models"] == [row | trained]


def test_a_table_is_replaced_by_the_one_with_its_header():
    text = "before\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |\n\n| c |\n| --- |\n\nafter"
    new = "| a | b |\n| --- | --- |\n| 5 | 6 |"
    assert pi_vm_tables.replace(text, new) == f"before\n\n{new}\n\n| c |\n| --- |\n\nafter"


def test_a_board_is_a_translation_by_clock_and_ipc():
    counts = {"process": 360e6}
    table = pi_vm_tables.boards({processor: {"calm yuyv": counts} for processor in pi_vm_tables.BOARDS})
    assert table.splitlines()[-1] == "| calm, yuyv | 0.360 | 13% to 25% | 0.360 | 10% to 19% |"


# ---- the committed figures


def test_the_committed_counts_fit_together():
    committed = json.loads(pi_vm_arm64.COMMITTED.read_text())
    for scenes in committed["seconds"].values():
        assert set(scenes) <= set(pi_vm_arm64.SCENES)
        for counts in scenes.values():
            stages = sum(counts.get(stage, 0) for stage in ("detect", "crop", "classify", "smooth"))
            assert stages <= counts["loop"] <= counts["process"]


def test_the_committed_counts_reach_the_goals():
    committed = json.loads(pi_vm_arm64.COMMITTED.read_text())
    goals = pi_vm_tables.goals_of(committed["seconds"]["cortex-a72"])
    assert [f"{goal.scene}: {goal.of}" for goal in goals if not goal.reached] == []
    assert not [text for text in pi_vm_arm64.missed_goals(committed["seconds"]) if "A76" in text]
    assert committed["memory"]["peak_resident_mb"] <= pi_vm_arm64.MAX_RESIDENT_MB


def test_the_committed_results_of_five_clips_are_within_bounds():
    results = json.loads(pi_vm_arm64.COMMITTED.read_text())["results"]
    assert list(results) == list(pi_vm_arm64.CLIPS)
    assert all(pi_vm_arm64.Difference(**result).is_small for result in results.values())


def test_runtime_md_has_the_tables_of_the_committed_counts():
    text = (ROOT / "docs/runtime.md").read_text()
    for table in pi_vm_tables.of_arm64(json.loads(pi_vm_arm64.COMMITTED.read_text())):
        assert table in text
    costs = json.loads(pi_vm_models.COMMITTED.read_text())
    assert pi_vm_tables.models(costs) in text
    sentences = " ".join(text.split())
    delegated = costs["operators"] - sum(costs["not_delegated"]["operators"].values())
    assert f"{delegated} of the shipped model's {costs['operators']} operators" in sentences
    outside, whole = costs["not_delegated"]["instructions"]["cortex-a72"], costs["shipped"]["cortex-a72"]
    assert (
        f"{round(outside, -3):,} of {whole / 1e6:.1f} million instructions, {100 * outside / whole:.2f} %" in sentences
    )


# ---- its modules


@pytest.mark.parametrize("module", sorted(path.stem for path in (ROOT / "scripts/pi_vm").glob("*.py")))
def test_each_module_is_imported_without_an_error(module):
    importlib.import_module(f"pi_vm.{module}")


def test_the_faults_need_nothing_but_python():
    command = [sys.executable, "-S", "-c", "import pi_vm.e2e"]
    subprocess.run(command, env={"PYTHONPATH": str(ROOT / "scripts")}, check=True)
