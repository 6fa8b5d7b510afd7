"""`trainer launch`: two hosts train together; when one is killed both end with one line, and --resume goes on."""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import faces
from tests.trainer.training.test_launcher import ends, free_port_pair

pytestmark = [pytest.mark.keras, pytest.mark.slow, pytest.mark.timeout(900)]
COMMAND = Path(sys.executable).with_name("trainer")
OPTIONS = ("--backbone", "small_cnn", "--weights", "none", "--input-size", "48", "--batch-size", "16")


@pytest.fixture
def start(tmp_path):
    """Return a function that starts `trainer launch` as two hosts do, each in a process group of its own."""
    table, started = faces.write_csv(tmp_path / "fer2013.csv", faces.tiny(training=12, public=3, private=0)), []

    def start(*options):
        port = free_port_pair()
        for process in range(2):
            line = [COMMAND, "launch", "--coordinator", f"127.0.0.1:{port}", "--processes", "2", "--process", process]
            line += ["--", "train", "--data", table, "--run-dir", tmp_path / "run", "--devices", "all", *OPTIONS]
            line += ["--head-epochs", "0", "--epochs", "12", *options]
            started.append(
                subprocess.Popen(
                    list(map(str, line)),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    env=os.environ | {"JAX_PLATFORMS": "cpu"},
                    start_new_session=True,
                )
            )
        return started[-2:]

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def epochs(run):
    with (run / "history.csv").open(newline="") as file:
        return [int(row["epoch"]) for row in csv.DictReader(file)]


def test_killed_host_ends_the_other_and_resume_goes_on(start, tmp_path):
    first, second = start()
    assert any(line.startswith("epoch 2/12") for line in first.stdout)
    os.killpg(second.pid, signal.SIGKILL)
    ((status, errors),) = ends(first)
    assert status == 1
    assert len(errors) == 1
    assert errors[0].startswith("trainer: error: the connection to process 1 was closed; the training has ended")
    done = len(epochs(tmp_path / "run"))
    assert done < 12
    first, second = start("--resume")
    outputs = [process.communicate(timeout=600) for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), outputs
    assert epochs(tmp_path / "run") == list(range(1, 13))
    resumed = [line.split("/")[0] for line in outputs[0][0].splitlines() if line.startswith("epoch ")]
    assert resumed[0] in {f"epoch {done}", f"epoch {done + 1}"}  # the epoch that was killed while it was saved again
    assert (tmp_path / "run" / "best.keras").is_file()
