"""Inject a kiosk's faults on an emulated board and check that the service recovers from each.

usage: scripts/pi-vm.sh e2e [--resume | --only NAME...] [--out FILE] [--health-check SECONDS]

The board starts with an empty disk. Fault, expected and observed result, and duration go to docs/pi-vm-results.md as a
table, with date and versions. Every wait has a limit; the seconds are those from the fault to the first result after
it, on an
emulated processor: real boards are many times faster. The run takes an hour; after an interruption, `--resume`
continues with the first case that was not done. Exit status: 1 if a result was not as expected.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pi_vm.board import COMMAND_TIMEOUT_SECONDS, ROOT, Board, BoardError, log, make_bundle, qemu_version

UNIT = "emotion-edge"
CONFIG = "/etc/emotion-edge/config.toml"
RELEASES = "/opt/emotion-edge/releases"
DEPLOY_TIMEOUT_SECONDS = 2400.0  # of a deployment, emulated, on a busy machine
WATCHDOG_SECONDS = 30.0  # WatchdogSec= of the unit
HEALTH_CHECK_SECONDS = 10  # the default of scripts/deploy.sh is twice as long, a dozen times
EDITED_LINE = "min_face_size = 96"  # of the configuration, which no deployment may change
RESULT_PATTERN = "face [0-9]+: "  # a line of the sink console
CAMERA_DRIVER = "/sys/bus/platform/drivers/vivid"


class UnexpectedError(Exception):
    """The observed result is not the expected one."""


@dataclass(frozen=True)
class Case:
    """A fault or an operation. `act` returns the observed result and seconds; or raises UnexpectedError, BoardError."""

    name: str
    action: str
    expected: str
    act: Callable[[Kiosk], tuple[str, float]]


@dataclass(frozen=True)
class Row:
    """The result of a case."""

    case: Case
    observed: str
    seconds: float | None  # None: it did not recover
    passed: bool


@dataclass(frozen=True)
class Artifacts:
    """What is deployed: bundles of two working releases and of a failing one; a model, and a file that is none."""

    first: Path
    second: Path
    failing: Path
    model: Path
    not_a_model: Path

    @property
    def with_model(self) -> str:
        """The name of the first release with the other model."""
        return f"{release_of(self.first)}.m{hashlib.sha256(self.model.read_bytes()).hexdigest()[:8]}"


@dataclass(frozen=True)
class Deployment:
    """The result of scripts/deploy.sh: its exit status, output and duration."""

    status: int
    lines: list[str]
    seconds: float

    @property
    def last_message(self) -> str:
        """The last line of the output, without its prefixes."""
        return without_prefixes(self.lines[-1])

    def require(self, status: int, words: str) -> None:
        """Raise UnexpectedError unless it ended with `status` and printed `words`."""
        if self.status != status or not any(words in line for line in self.lines):
            raise UnexpectedError(
                f"exit status {self.status}, expected {status} and '{words}': {' / '.join(self.lines[-4:])}"
            )


class Kiosk:
    """The service on the board, observed from outside."""

    def __init__(self, board: Board, artifacts: Artifacts, health_check_seconds: int) -> None:
        self.board, self.artifacts, self._health_check_seconds = board, artifacts, health_check_seconds

    def state(self) -> dict[str, str]:
        """Return systemd's properties of the service."""
        names = "ActiveState,SubState,NRestarts,MainPID,Result,ExecMainStatus,StatusText"
        words = self.board.run(f"systemctl show {UNIT} --property {names}")
        return dict(line.split("=", 1) for line in words.splitlines())

    def release(self) -> str:
        """Return the release that `current` points to. Raises UnexpectedError if it is incomplete."""
        name = self.board.run("basename $(readlink /opt/emotion-edge/current)")
        if not self.board.run(f"ls {RELEASES}/{name}/.complete", check=False):
            raise UnexpectedError(f"{name} is incomplete")
        return name

    def journal_end(self) -> str:
        """Return the journal's end, as an option of journalctl that skips everything before it."""
        cursor = self.board.run("journalctl --lines 0 --show-cursor | sed -n 's/^-- cursor: //p'")
        return f"--after-cursor='{cursor}'"

    def wait_for_log(self, words: str, mark: str, limit: float = COMMAND_TIMEOUT_SECONDS) -> str:
        """Return the journal's first line about the service after `mark` that matches `words`, waiting for it."""
        found = f"journalctl --quiet --boot --unit {UNIT} --output cat {mark} | grep -Em1 '{words}'"
        self.board.until(f"{found} >/dev/null", limit)
        return self.board.run(found)

    def wait_for_result(self, mark: str = "", limit: float = COMMAND_TIMEOUT_SECONDS) -> str:
        """Return the first result of the running process after `mark`, waiting until it is ready and has one."""
        ready = f"systemctl is-active --quiet {UNIT}"
        process = f"_PID=$(systemctl show {UNIT} --property MainPID --value)"
        found = f"journalctl --quiet --boot --output cat {mark} {process} | grep -Em1 '{RESULT_PATTERN}'"
        self.board.until(f"{ready} && {found} >/dev/null", limit)
        return self.board.run(found).split("  ")[-1]

    def wait_for_status(self, words: str) -> None:
        """Wait until the service's status contains `words`."""
        self.board.until(f"systemctl show {UNIT} --property StatusText | grep -q '{words}'", COMMAND_TIMEOUT_SECONDS)

    def require_same_process(self, process: str) -> None:
        """Raise UnexpectedError unless the same `process` still processes frames."""
        alive = f"systemctl show {UNIT} --property WatchdogTimestampMonotonic"
        self.board.until(f"[ '{self.board.run(alive)}' != \"$({alive})\" ]", WATCHDOG_SECONDS)
        now = self.state()
        require(now["MainPID"] == process, f"another process: {now}")

    def deploy(self, *arguments: str | Path) -> Deployment:
        """Run scripts/deploy.sh to its end."""
        with self.deploying(*arguments) as (process, lines):
            start = time.monotonic()
            for _ in lines:
                pass
            status = process.wait()
        return Deployment(status, self.output, time.monotonic() - start)

    @contextmanager
    def deploying(self, *arguments: str | Path) -> Iterator[tuple[subprocess.Popen[str], Iterator[str]]]:
        """Run scripts/deploy.sh; yield it and its output lines as they come, which are also kept in `output`."""
        process = self.board.deploy("--health-check", str(self._health_check_seconds), *map(str, arguments))
        limit = threading.Timer(DEPLOY_TIMEOUT_SECONDS, process.kill)
        limit.start()
        self.output: list[str] = []
        assert process.stdout
        try:
            yield process, self._read_lines(process.stdout)
        finally:
            limit.cancel()
            process.kill()
            process.wait()
            process.stdout.close()

    def _read_lines(self, lines: Iterator[str]) -> Iterator[str]:
        for line in lines:
            self.output.append(line.strip())
            log(f"    {line.rstrip()}")
            yield line


def without_prefixes(line: str) -> str:
    """Return the message in `line` of deploy.sh without the names of host and scripts."""
    return re.sub(r"^(pi-vm: |deploy\.sh: |install\.sh: |error: )+", "", line)


def require(true: bool, otherwise: str) -> None:
    if not true:
        raise UnexpectedError(otherwise)


def since(start: float) -> float:
    return time.monotonic() - start


# ---- actions


def deployed(kiosk: Kiosk) -> tuple[str, float]:
    deployment = kiosk.deploy("--bundle", kiosk.artifacts.first)
    deployment.require(0, "running: ")
    return deployment.last_message, deployment.seconds


def configured(kiosk: Kiosk) -> tuple[str, float]:
    # Also because detecting small faces takes an emulated processor seconds.
    key = EDITED_LINE.partition(" ")[0]
    kiosk.board.run(f"sudo sed --in-place 's/^# {key} =.*/{EDITED_LINE}/' {CONFIG}; grep -x '{EDITED_LINE}' {CONFIG}")
    start = time.monotonic()
    kiosk.board.run(f"sudo systemctl restart {UNIT}")
    result, seconds = kiosk.wait_for_result(), since(start)
    kiosk.wait_for_status("fps=")
    now = kiosk.state()
    return f"{now['ActiveState']}; '{result}'; '{now['StatusText']}'", seconds


def killed(kiosk: Kiosk) -> tuple[str, float]:
    return recovered_from(
        kiosk, f"sudo systemctl kill --signal KILL {UNIT}", "Main process exited, code=killed, status=9/KILL"
    )


def hung(kiosk: Kiosk) -> tuple[str, float]:
    return recovered_from(kiosk, f"sudo systemctl kill --signal STOP {UNIT}", "Watchdog timeout")


def out_of_memory(kiosk: Kiosk) -> tuple[str, float]:
    kiosk.board.send(MEMORY_HOG.encode(), "/run/memory-hog")
    return recovered_from(
        kiosk, "sudo systemd-run --quiet python3 /run/memory-hog", "oom-kill|OOM killer|Watchdog timeout"
    )


# Allocates more and more memory, in the service's control group.
MEMORY_HOG = f"""
import os
with open("/sys/fs/cgroup/system.slice/{UNIT}.service/cgroup.procs", "w") as group:
    group.write(str(os.getpid()))
allocated = []
while True:
    allocated.append(b"x" * (4 << 20))
"""


def recovered_from(kiosk: Kiosk, fault: str, noticed: str) -> tuple[str, float]:
    """Inject `fault`, wait until the journal has `noticed`, and until the next process classifies a face."""
    before, mark, start = kiosk.state(), kiosk.journal_end(), time.monotonic()
    kiosk.board.run(fault)
    line, noted = kiosk.wait_for_log(noticed, mark), since(start)
    kiosk.board.until(f"[ $(systemctl show {UNIT} --property MainPID --value) != {before['MainPID']} ]")
    result, seconds = kiosk.wait_for_result(), since(start)
    restarts = int(kiosk.state()["NRestarts"]) - int(before["NRestarts"])
    require(restarts == 1, f"{restarts} restarts")
    return f"'{line}' after {noted:.0f} s; one restart; '{result}'", seconds


def unplugged(kiosk: Kiosk) -> tuple[str, float]:
    process, mark = kiosk.state()["MainPID"], kiosk.journal_end()
    # As when a plug is pulled: the device goes while the service has it open.
    kiosk.board.run(f"echo vivid.0 | sudo tee {CAMERA_DRIVER}/unbind")
    line = kiosk.wait_for_log("^edge: ", mark)
    kiosk.board.until("sudo modprobe --remove vivid")
    kiosk.wait_for_status("waiting for the camera")
    mark, start = kiosk.journal_end(), time.monotonic()
    kiosk.board.run("sudo modprobe vivid")
    back = kiosk.wait_for_log("camera is back", mark)
    kiosk.wait_for_status("faces=1")
    seconds = since(start)
    kiosk.require_same_process(process)
    return f"'{line}'; then '{back}'; '{kiosk.state()['StatusText']}', the same process", seconds


def no_model_deployed(kiosk: Kiosk) -> tuple[str, float]:
    return refused(kiosk, 78, "the model is refused", "--model", kiosk.artifacts.not_a_model)


def refused(kiosk: Kiosk, status: int, words: str, *arguments: str | Path) -> tuple[str, float]:
    """Deploy what is refused with `status` and `words`, while the running process continues."""
    process, release = kiosk.state()["MainPID"], kiosk.release()
    deployment = kiosk.deploy(*arguments)
    deployment.require(status, words)
    kiosk.require_same_process(process)
    require(kiosk.release() == release, f"current points to {kiosk.release()}")
    line = next(line for line in deployment.lines if words in line)
    return f"exit status {status}: '{line.split('error: ')[-1]}'; the same process continues", deployment.seconds


def failing_deployed(kiosk: Kiosk) -> tuple[str, float]:
    release = kiosk.release()
    deployment = kiosk.deploy("--bundle", kiosk.artifacts.failing)
    deployment.require(1, f"rolled back to {release}, running")
    require(kiosk.release() == release, f"current points to {kiosk.release()}")
    why = next(line for line in deployment.lines if "failed its health check" in line)
    return (
        f"exit status 1: '{without_prefixes(why)}'; rolled back to {release}: '{kiosk.wait_for_result()}'",
        deployment.seconds,
    )


def power_failure_during(
    arguments: Callable[[Artifacts], tuple[str, Path]], message: str, condition: str
) -> Callable[[Kiosk], tuple[str, float]]:
    """Return an action: cut the power once deploy.sh has printed `message` and the shell's `condition` holds."""

    def act(kiosk: Kiosk) -> tuple[str, float]:
        before = kiosk.release()
        # A health check that is not over before the power is cut.
        with kiosk.deploying(*arguments(kiosk.artifacts), "--health-check", "120") as (_, lines):
            require(any(message in line for line in lines), f"not printed: {message}")
            kiosk.board.until(condition)
            kiosk.board.cut_power()
        start = time.monotonic()
        kiosk.board.up()
        result, seconds = kiosk.wait_for_result(), since(start)
        require(kiosk.release() == before, f"current points to {kiosk.release()}")
        return f"after the boot {before} runs: '{result}'", seconds

    return act


def model_deployed(kiosk: Kiosk) -> tuple[str, float]:
    deployment = kiosk.deploy("--model", kiosk.artifacts.model)
    deployment.require(0, "running: ")
    require(kiosk.release() == kiosk.artifacts.with_model, f"current points to {kiosk.release()}")
    return f"{deployment.last_message}; '{kiosk.wait_for_result()}'", deployment.seconds


def rebooted(kiosk: Kiosk) -> tuple[str, float]:
    start = time.monotonic()
    kiosk.board.reboot()
    return f"'{kiosk.wait_for_result()}'", since(start)


def disk_filled(kiosk: Kiosk) -> tuple[str, float]:
    rest = "$(df --output=avail --block-size=1 / | tail -n 1)"
    # Including the blocks reserved for root.
    kiosk.board.run(
        f"sudo fallocate --length {rest} /var/tmp/full; sudo sh -c 'cat /dev/zero >/var/tmp/fuller'", check=False
    )
    try:
        observed, _ = refused(kiosk, 1, "not enough space", "--bundle", kiosk.artifacts.second)
    finally:
        kiosk.board.run("sudo rm /var/tmp/full /var/tmp/fuller")
    start = time.monotonic()
    kiosk.board.run(f"sudo systemctl restart {UNIT}")
    return f"{observed}; restarted with free space: '{kiosk.wait_for_result()}'", since(start)


def misconfigured(kiosk: Kiosk) -> tuple[str, float]:
    mark = kiosk.journal_end()
    kiosk.board.run(f"sudo cp {CONFIG} {CONFIG}.good; echo 'max_fsp = 15' | sudo tee --append {CONFIG}")
    kiosk.board.run(f"sudo systemctl restart {UNIT}", check=False)
    now, line = kiosk.state(), kiosk.wait_for_log("error", mark)
    # A unit that will be restarted is "activating" in the meantime.
    found = f"{now['ActiveState']}, exit status {now['ExecMainStatus']}, {now['NRestarts']} restarts"
    require(found == "failed, exit status 78, 0 restarts", found)
    start = time.monotonic()
    kiosk.board.run(f"sudo mv {CONFIG}.good {CONFIG}; sudo systemctl restart {UNIT}")
    return f"{found}: '{line}'; corrected and restarted: '{kiosk.wait_for_result()}'", since(start)


def misconfigured_deployed(kiosk: Kiosk) -> tuple[str, float]:
    kiosk.board.run(f"sudo cp {CONFIG} {CONFIG}.good; echo 'max_fsp = 15' | sudo tee --append {CONFIG}")
    try:
        return refused(kiosk, 78, "refuses the configuration", "--bundle", kiosk.artifacts.first)
    finally:
        kiosk.board.run(f"sudo mv {CONFIG}.good {CONFIG}")


def rolled_back(kiosk: Kiosk) -> tuple[str, float]:
    deployment = kiosk.deploy("--rollback")
    deployment.require(0, "running: ")
    require(kiosk.release() == release_of(kiosk.artifacts.first), f"current points to {kiosk.release()}")
    return f"{deployment.last_message}; '{kiosk.wait_for_result()}'", deployment.seconds


def kept(kiosk: Kiosk) -> tuple[str, float]:
    start = time.monotonic()
    line = kiosk.board.run(f"grep -x '{EDITED_LINE}' {CONFIG}", check=False)
    require(bool(line), f"no line '{EDITED_LINE}' in {CONFIG}")
    return f"'{line}'", since(start)


def asked(kiosk: Kiosk) -> tuple[str, float]:
    kiosk.wait_for_status("fps=")
    deployment = kiosk.deploy("--status")
    deployment.require(0, " fps ")
    return f"'{deployment.lines[-1]}'", deployment.seconds


CASES = (
    Case("deploy", "deploy to an empty board without internet", "running", deployed),
    Case(
        "restart",
        f"write '{EDITED_LINE}' to the configuration, restart",
        "active, has results, counts frames",
        configured,
    ),
    Case("kill", "kill -9", "a new process, started once", killed),
    Case("hang", "SIGSTOP", f"ended by the watchdog after {WATCHDOG_SECONDS:g} s, a new process", hung),
    Case("memory", "allocate more than MemoryMax in the service", "killed, a new process", out_of_memory),
    Case(
        "camera",
        "unbind and remove the camera's driver, load it again",
        "the same process waits and continues",
        unplugged,
    ),
    Case("model", "deploy a file that is no model", "refused (78), nothing changed", no_model_deployed),
    Case(
        "power-sending",
        "power failure during the transfer of a bundle",
        "the old release runs after the boot",
        power_failure_during(
            lambda has: ("--bundle", has.second),
            "sending",
            "[ $(du --summarize --block-size=1M emotion-edge-incoming | cut -f 1) -ge 5 ]",
        ),
    ),
    Case(
        "power-creating",
        "power failure while a new release is created",
        "the old release runs after the boot",
        power_failure_during(
            lambda has: ("--bundle", has.failing),
            "creating",
            f"[ $(ls -d {RELEASES}/*/venv/lib/*/site-packages/cv2 | wc -l) = 2 ]",
        ),
    ),
    Case(
        "failing",
        "deploy it again, without interruption; its service fails",
        "created anew; rolled back, exit status 1",
        failing_deployed,
    ),
    Case(
        "power-health-check",
        "power failure during the health check of another model",
        "the old release runs after the boot",
        power_failure_during(
            lambda has: ("--model", has.model), "checking its health", f"systemctl is-active --quiet {UNIT}"
        ),
    ),
    Case("again", "deploy the same model again", "running", model_deployed),
    Case("reboot", "reboot", "has results after the boot", rebooted),
    Case("full", "fill the disk to the last byte, deploy a release", "refused (1), the service continues", disk_filled),
    Case("config", "an unknown key in the configuration, restart", "ends with 78, is not restarted", misconfigured),
    Case("config-deploy", "the same, and deploy a release", "refused (78), nothing changed", misconfigured_deployed),
    Case("rollback", "deploy.sh --rollback", "the previous release runs", rolled_back),
    Case("kept", "read the configuration after all this", f"as it was edited: '{EDITED_LINE}'", kept),
    Case("status", "deploy.sh --status", "one line", asked),
)


# ---- the report


def table(rows: Sequence[Row]) -> str:
    """Return `rows` as a table in Markdown."""
    lines = ["| action | expected | observed | seconds | |", "| --- | --- | --- | ---: | --- |"]
    for row in rows:
        seconds = "" if row.seconds is None else f"{row.seconds:.0f}"
        cells = row.case.action, row.case.expected, row.observed, seconds, "as expected" if row.passed else "**NOT**"
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines)


def report(rows: Sequence[Row], about: str) -> str:
    """Return the page with `rows`; `about` is the board and the release that they are of."""
    good = sum(row.passed for row in rows)
    return f"""# Faults on an emulated board

{good} of {len(rows)} as expected. {about} Made by `scripts/pi-vm.sh e2e`; [pi-vm.md](pi-vm.md)
explains the board and the seconds.

{table(rows)}
"""


def versions(kiosk: Kiosk) -> str:
    """Return date and versions in a sentence or two."""
    found = kiosk.board.run(
        "uname -r; systemctl --version | head -n 1; python3 --version; nproc; free -m | awk '/Mem/ {print $2}'"
    )
    kernel, systemd, python, processors, memory = found.splitlines()
    release, systemd = release_of(kiosk.artifacts.first), " ".join(systemd.split()[:2])
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, release {release}, Debian trixie for arm64: Linux {kernel},\n"
        f"{systemd}, {python}, {processors} emulated processors, {memory} MB; QEMU {qemu_version()}."
    )


def try_case(case: Case, kiosk: Kiosk) -> Row:
    log(f"{case.name}: {case.action}")
    try:
        observed, seconds = case.act(kiosk)
        row = Row(case, observed, seconds, passed=True)
    except (UnexpectedError, BoardError) as error:
        row = Row(case, " ".join(str(error).split()), None, passed=False)
    log(f"{case.name}: {'as expected' if row.passed else 'NOT AS EXPECTED'}: {row.observed}")
    return row


# ---- artifacts


def release_of(bundle: Path) -> str:
    """Return the name that the release in `bundle` has on a board."""
    return bundle.name.removeprefix("emotion-edge-").rpartition("-arm64")[0]


def make_artifacts(folder: Path) -> Artifacts:
    """Return the artifacts in `folder`; those that are there already are used again."""
    listed = folder / "artifacts.json"
    if not listed.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        made = [make_bundle(ROOT, "--out", str(folder)), *make_changed_bundles(folder), *make_models(folder)]
        listed.write_text(json.dumps([path.name for path in made]))
    return Artifacts(*(folder / name for name in json.loads(listed.read_text())))


def make_changed_bundles(folder: Path) -> tuple[Path, Path]:
    """Return bundles of changed copies of this tree: one that works, and one whose camera cannot be opened."""
    copy = folder / "copy"
    subprocess.run([shutil.which("git") or "git", "clone", "--quiet", str(ROOT), str(copy)], check=True)
    (copy / "edge/__init__.py").open("a").write("# another release\n")
    second = make_bundle(copy, "--out", str(folder))
    camera = copy / "edge/capture/usb.py"
    fails = "\n\ndef _open(path: str) -> cv2.VideoCapture:\n    raise MemoryError(path)\n"
    camera.write_text(camera.read_text() + fails)
    failing = make_bundle(copy, "--out", str(folder))
    shutil.rmtree(copy)
    return second, failing


def make_models(folder: Path) -> tuple[Path, Path]:
    """Return a model that differs from the shipped one only in a comment, and a truncated one."""
    shipped = (ROOT / "models/emotion.tflite").read_bytes()
    other, truncated = folder / "other.tflite", folder / "truncated.tflite"
    other.write_bytes(shipped)
    with zipfile.ZipFile(other, "a") as card:
        card.comment = b"another"
    truncated.write_bytes(shipped[:1_000_000])
    return other, truncated


def save_rows(rows: Sequence[Row], path: Path) -> None:
    """Write `rows` to `path` atomically."""
    values = [
        {"name": row.case.name, "observed": row.observed, "seconds": row.seconds, "passed": row.passed} for row in rows
    ]
    aside = path.with_suffix(".part")
    aside.write_text(json.dumps(values, indent=1))
    aside.replace(path)


def load_rows(path: Path) -> list[Row]:
    """Return the rows of an interrupted run."""
    cases = {case.name: case for case in CASES}
    values = json.loads(path.read_text()) if path.exists() else []
    return [Row(cases[row.pop("name")], **row) for row in values]


def main() -> int:
    arguments = parse_arguments()
    board = Board("e2e", fresh=not (arguments.resume or arguments.only))
    try:
        with board:
            kiosk = Kiosk(board, make_artifacts(board.folder / "artifacts"), arguments.health_check)
            rows = try_cases(kiosk, arguments.only, board.folder / "rows.json")
            about = versions(kiosk)
    except BoardError as error:
        log(f"pi-vm.sh: error: {error}")
        return 1
    except KeyboardInterrupt:
        log("pi-vm.sh: stopped; 'scripts/pi-vm.sh e2e --resume' continues")
        return 130
    if arguments.only:
        print(table(rows))
    else:
        arguments.out.write_text(report(rows, about))
        log(f"written to {arguments.out}")
    return 0 if all(row.passed for row in rows) else 1


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="pi-vm.sh e2e", description=__doc__.splitlines()[0] if __doc__ else None)
    names = [case.name for case in CASES]
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--resume", action="store_true", help="continue an interrupted run")
    which.add_argument(
        "--only", action="append", choices=names, help="only this case, on the board in its present state; repeatable"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "docs/pi-vm-results.md", help="file of the table")
    parser.add_argument("--health-check", type=int, default=HEALTH_CHECK_SECONDS, help="seconds of each health check")
    return parser.parse_args()


def try_cases(kiosk: Kiosk, only: Sequence[str] | None, path: Path) -> list[Row]:
    """Return a row for each case, or for `only` some. Rows of a complete run are saved at `path` until the next one."""
    if only:
        return [try_case(case, kiosk) for case in CASES if case.name in only]
    rows = load_rows(path)
    for case in CASES[len(rows) :]:
        rows.append(try_case(case, kiosk))
        save_rows(rows, path)
    return rows


if __name__ == "__main__":
    sys.exit(main())
