"""The launchers of a training on several hosts: when one process ends early all end, with one line."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from tests.support.paths import ROOT
from trainer.errors import TrainingError
from trainer.training import launcher
from trainer.training.launcher import Group, Launcher, parse_address

# Runs the launcher of one process, whose program is the last argument.
PROGRAM = """
import sys
from trainer.training.launcher import Group, Launcher
port, processes, process, program = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
with Launcher(Group("127.0.0.1", port, processes, process), [sys.executable, "-c", program]) as launcher:
    try:
        launcher.run()
    except Exception as error:
        sys.exit(f"trainer: error: {error}")
"""
WAIT = "import time; print('started', flush=True); time.sleep(600)"
IGNORE_SIGTERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + WAIT


def free_port_pair():
    """Return a port that is free, as the next one is."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as first:
            port = first.getsockname()[1]
            try:
                with socket.create_server(("127.0.0.1", port + 1)):
                    return port
            except OSError:
                continue


@pytest.fixture
def port():
    return free_port_pair()


@pytest.fixture
def launch(port):
    """Return a function that starts a launcher in a process group of its own."""
    started = []

    def start(process, program, processes=2):
        command = [sys.executable, "-c", PROGRAM, str(port), str(processes), str(process), program]
        started.append(
            subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                cwd=ROOT,
                start_new_session=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def ends(*launchers):
    """Return exit status and last line of the errors of each launcher, which must end within 30 s."""
    end = time.monotonic() + 30
    results = []
    for process in launchers:
        _, errors = process.communicate(timeout=end - time.monotonic())
        results.append((process.returncode, errors.splitlines()[-1:]))
    return results


def wait_for_start(*launchers):
    for process in launchers:
        assert any(line == "started\n" for line in process.stdout)


def test_processes_get_what_keras_documents(launch):
    program = "import os; print([os.environ['KERAS_DISTRIBUTION_' + n] for n in ('PROCESS_ID', 'NUM_PROCESSES')])"
    second, first = launch(1, program), launch(0, program)
    assert "['0', '2']" in first.communicate(timeout=60)[0]
    assert "['1', '2']" in second.communicate(timeout=60)[0]
    assert (first.returncode, second.returncode) == (0, 0)


@pytest.mark.parametrize("failing", [0, 1])
def test_process_that_fails_ends_all(failing, launch):
    failed, other = launch(failing, "import sys; sys.exit(3)"), launch(1 - failing, WAIT)
    line = f"trainer: error: process {failing} on {socket.gethostname()} ended with status 3; "
    for status, errors in ends(failed, other):
        assert status == 1
        assert errors == [line + "the training has ended on all hosts, resume it with --resume"]


@pytest.mark.parametrize("killed", [0, 1])
def test_launcher_that_is_killed_ends_the_others(killed, launch):
    first, other = launch(killed, WAIT), launch(1 - killed, IGNORE_SIGTERM)
    wait_for_start(first, other)
    os.killpg(first.pid, signal.SIGKILL)
    ((status, errors),) = ends(other)
    assert status == 1
    assert f"the connection to process {killed} was closed" in errors[0]


def test_signal_to_a_launcher_ends_all(launch):
    first, second, third = launch(0, WAIT, 3), launch(1, WAIT, 3), launch(2, WAIT, 3)
    wait_for_start(first, second, third)
    second.send_signal(signal.SIGTERM)
    for status, errors in ends(first, second, third):
        assert status == 1
        assert "process 1 was stopped by a signal" in errors[0]


def test_host_that_is_not_heard_ends_the_training(monkeypatch, port):
    monkeypatch.setattr(launcher, "SILENCE_SECONDS", 0.5)
    previous = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with Launcher(Group("127.0.0.1", port, 2, 1), [sys.executable, "-c", WAIT]) as silent:
        with (
            socket.create_server(("127.0.0.1", port + 1)),
            pytest.raises(TrainingError, match="process 0 was not heard"),
        ):
            silent.run()
        process = silent._process
        assert process
    signal.signal(signal.SIGTERM, previous[0])
    signal.signal(signal.SIGINT, previous[1])
    assert process.poll() is not None


def test_strangers_are_ignored(launch, port):
    program = f"""
import socket
for content in (b"x" * 10_000, b"failed by me\\n", b"done\\n", b"process 7\\n"):
    stranger = socket.create_connection(("127.0.0.1", {port + 1}))
    stranger.sendall(content)
"""
    assert ends(launch(0, program, 1)) == [(0, [])]


@pytest.mark.parametrize("text", ["", "host", "host:", ":1", "host:x", "host:123456", "host:0", "host:65535"])
def test_malformed_address_is_an_error(text):
    with pytest.raises(TrainingError, match="expected"):
        Group(*parse_address(text), 2, 0)


def test_process_outside_of_the_group_is_an_error():
    with pytest.raises(TrainingError, match="process is 2, expected 0 to 1"):
        Group("host", 7000, 2, 2)
