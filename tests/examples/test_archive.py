"""The archive example on a Dask cluster of this machine: one row for each image, whatever dies."""

import contextlib
import json
import os
import signal
import subprocess
import sys

import cv2
import pytest

from edge.capture.synthetic import SyntheticScene
from edge.types import Box
from tests.support.broker import HOST, free_port
from tests.support.kiosk import wait_until
from tests.support.paths import ROOT

PROGRAM = ROOT / "examples" / "archive" / "label.py"
FACE = Box(60, 40, 160, 160)
GOOD, PART_IMAGES = 44, 4
BAD = {"a/bad.jpg": b"no image", "b/empty.png": b"", "b/short.jpg": b"\xff\xd8\xff\xe0"}
TIMEOUT_SECONDS = 180

pytestmark = pytest.mark.slow


class Cluster:
    """A scheduler and its workers, each a process of its own. A context manager."""

    def __init__(self, folder, **environment):
        pytest.importorskip("distributed")
        self.address = f"tcp://{HOST}:{free_port()}"
        self._folder, self._environment = folder, {**os.environ, **environment}
        self._processes = []
        self.workers = []

    def __enter__(self):
        self._start("scheduler", "--host", HOST, "--port", self.address.rpartition(":")[2], "--no-dashboard")
        return self

    def __exit__(self, *_):
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def add_worker(self, *options):
        name = f"worker-{len(self.workers)}"
        self.workers.append(
            self._start("worker", self.address, "--nthreads", "1", "--no-dashboard", *options, log=name)
        )

    def log(self, number):
        return (self._folder / f"worker-{number}.log").read_text()

    def _start(self, *arguments, log="scheduler"):
        with (self._folder / f"{log}.log").open("w") as file:
            command = [sys.executable, "-m", "dask", *arguments]
            process = subprocess.Popen(
                command, stderr=file, cwd=self._folder, env=self._environment, start_new_session=True
            )
        self._processes.append(process)
        return process


def label(cluster, archive, results, *options):
    command = [sys.executable, PROGRAM, cluster.address, archive, results, "--part-images", str(PART_IMAGES), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    """Return what the program printed; it must succeed."""
    output, errors = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 0, errors
    return output


def rows(results):
    return [json.loads(line) for path in sorted(results.glob("*.jsonl")) for line in path.read_text().splitlines()]


@pytest.fixture
def archive(tmp_path):
    """A folder with images of happy faces, and some that are none."""
    folder = tmp_path / "archive"
    scene = SyntheticScene(320, 240)
    _, content = cv2.imencode(".png", scene.draw(("happy", FACE)))
    for name in (f"{'ab'[number % 2]}/{number:03}.png" for number in range(GOOD)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.tobytes())
    for name, bad in BAD.items():
        (folder / name).write_bytes(bad)
    (folder / "notes.txt").write_text("no image")
    return folder


def test_each_image_has_one_row_though_a_worker_is_killed(archive, tmp_path):
    results = tmp_path / "results"
    with Cluster(tmp_path) as cluster:
        cluster.add_worker("--no-nanny")
        cluster.add_worker("--no-nanny")
        process = label(cluster, archive, results)
        wait_until(lambda: process.poll() is not None or len(list(results.glob("*.jsonl"))) >= 2)
        cluster.workers[0].kill()
        complete = len(list(results.glob("*.jsonl")))
        assert complete < (GOOD + len(BAD)) / PART_IMAGES
        finish(process)
        assert [cluster.log(number).count("model loaded") for number in range(2)] == [1, 1]
    expected = sorted([str(path.relative_to(archive)) for path in archive.rglob("*.[jp]*g")])
    found = rows(results)
    assert [row["image"] for row in found] == expected
    assert {row["image"] for row in found if row["error"]} == set(BAD)
    good = [row["faces"] for row in found if not row["error"]]
    assert len(good) == GOOD
    assert {face["label"] for faces in good for face in faces} == {"happy"}
    assert all(len(faces) == 1 and Box(*faces[0]["box"]).iou(FACE) > 0.5 for faces in good)
    assert not list(results.glob("*.tmp"))


FAKE_EDGE = """
import os, types
class ImageAnalyzer:
    def __init__(self, model):
        if model == "none":
            raise ValueError("no model is called 'none'")
    def analyze(self, path):
        if path.name == "005.png":
            os._exit(1)
        return ()
"""


@pytest.fixture
def cluster(tmp_path):
    """A cluster whose worker is restarted when it dies, and dies of one of the images; it has no model."""
    (tmp_path / "edge").mkdir()
    (tmp_path / "edge" / "__init__.py").write_text(FAKE_EDGE)
    environment = {"PYTHONPATH": str(tmp_path), "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
    with Cluster(tmp_path, **environment) as started:
        started.add_worker()
        yield started


def test_an_image_of_which_workers_die_costs_one_row(archive, tmp_path, cluster):
    results = tmp_path / "results"
    finish(label(cluster, archive, results))
    found = rows(results)
    assert len({row["image"] for row in found}) == len(found) == GOOD + len(BAD)
    assert {row["image"]: row["error"] for row in found if row["error"]} == {"b/005.png": "the worker process died"}


def test_a_second_start_labels_only_what_is_missing(archive, tmp_path, cluster):
    (archive / "b/005.png").unlink()
    results = tmp_path / "results"
    assert f"{GOOD + len(BAD) - 1} of {GOOD + len(BAD) - 1} images" in finish(label(cluster, archive, results))
    parts = {path: path.stat().st_mtime_ns for path in sorted(results.glob("*.jsonl"))}
    lost = list(parts)[3]
    lost.unlink()
    lost.with_suffix(".tmp").write_text("half a ro")  # of a start that was killed
    finish(label(cluster, archive, results))
    changed = {path for path in results.glob("*.jsonl") if path.stat().st_mtime_ns != parts[path]}
    assert changed == {lost}
    assert len(rows(results)) == GOOD + len(BAD) - 1


def test_what_concerns_all_images_is_one_line(archive, tmp_path, cluster):
    def refusal(archive, results, *options):
        process = label(cluster, archive, results, *options)
        _, errors = process.communicate(timeout=TIMEOUT_SECONDS)
        assert process.returncode == 1
        return errors.splitlines()[-1]

    (tmp_path / "nothing").mkdir()
    assert refusal(tmp_path / "nothing", tmp_path / "1").endswith("nothing: no images found")
    assert "no model is called 'none'; parts that are complete are kept" in refusal(
        archive, tmp_path / "2", "--model", "none"
    )
    assert "begun with other images or options" in refusal(archive, tmp_path / "2")
