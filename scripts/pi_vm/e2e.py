"""Do to an emulated board what happens to a kiosk, and see that it comes back each time.

usage: scripts/pi-vm.sh e2e [--resume | --only NAME...] [--out FILE] [--probe SECONDS]

A board of its own begins with an empty disk. What was done, expected and seen, and how long it took, goes to
docs/pi-vm-results.md as a table, with date and versions. Each thing is waited for with a limit; the seconds are those
from the fault to the first reading after it, on an emulated processor: real boards are many times faster.
An hour; stopped, `--resume` goes on with the case that was not done. Exit status: 1 if something was not as expected.
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

from pi_vm.board import PATIENCE, ROOT, Board, BoardError, make_bundle, qemu_version, say

UNIT = "emotion-edge"
CONFIG = "/etc/emotion-edge/config.toml"
RELEASES = "/opt/emotion-edge/releases"
DEPLOY_SECONDS = 2400.0  # that a deployment may take, emulated, on a busy machine
WATCHDOG_SECONDS = 30.0  # WatchdogSec= of the unit
PROBE = 10  # seconds; the default of scripts/deploy.sh costs twice as many, a dozen times
EDITED = "min_face = 96"  # of the configuration, which no deployment may change
READING = "face [0-9]+: "
DEVICE = "/sys/bus/platform/drivers/vivid"


class Unexpected(Exception):
    """What was seen is not what is expected."""


@dataclass(frozen=True)
class Case:
    """Something that happens to a kiosk. `act` returns what was seen, and seconds; or raises Unexpected, BoardError."""

    name: str
    done: str
    expected: str
    act: Callable[[Kiosk], tuple[str, float]]


@dataclass(frozen=True)
class Row:
    """A case as it went."""

    case: Case
    seen: str
    seconds: float | None  # None: it did not come back
    passed: bool


@dataclass(frozen=True)
class Material:
    """What is deployed: bundles of two releases that work and of one whose service fails; a model, and what is none."""

    first: Path
    second: Path
    failing: Path
    model: Path
    no_model: Path

    @property
    def with_model(self) -> str:
        """The name of the release that the first one becomes with the other model."""
        return f"{release_of(self.first)}.m{hashlib.sha256(self.model.read_bytes()).hexdigest()[:8]}"


@dataclass(frozen=True)
class Deployment:
    """What scripts/deploy.sh came to: its exit status, what it said, and how long it took."""

    status: int
    lines: list[str]
    seconds: float

    @property
    def end(self) -> str:
        """The last thing that it said, without who said it."""
        return plain(self.lines[-1])

    def require(self, status: int, words: str) -> None:
        """Raise Unexpected unless it ended with `status` and said `words`."""
        if self.status != status or not any(words in line for line in self.lines):
            raise Unexpected(
                f"exit status {self.status}, expected {status} and '{words}': {' / '.join(self.lines[-4:])}"
            )


class Kiosk:
    """The service on the board, from outside."""

    def __init__(self, board: Board, material: Material, probe: int) -> None:
        self.board, self.material, self._probe = board, material, probe

    def state(self) -> dict[str, str]:
        """Return what systemd knows of the service."""
        names = "ActiveState,SubState,NRestarts,MainPID,Result,ExecMainStatus,StatusText"
        words = self.board.run(f"systemctl show {UNIT} --property {names}")
        return dict(line.split("=", 1) for line in words.splitlines())

    def release(self) -> str:
        """Return the release that `current` leads to. Raises Unexpected if it is not whole."""
        name = self.board.run("basename $(readlink /opt/emotion-edge/current)")
        if not self.board.run(f"ls {RELEASES}/{name}/.whole", check=False):
            raise Unexpected(f"{name} is not whole")
        return name

    def mark(self) -> str:
        """Return the journal's end, as an option that leaves out all before."""
        cursor = self.board.run("journalctl --lines 0 --show-cursor | sed -n 's/^-- cursor: //p'")
        return f"--after-cursor='{cursor}'"

    def says(self, words: str, mark: str, limit: float = PATIENCE) -> str:
        """Return the journal's first line about the service after `mark` that matches `words`, waiting for it."""
        found = f"journalctl --quiet --boot --unit {UNIT} --output cat {mark} | grep -Em1 '{words}'"
        self.board.until(f"{found} >/dev/null", limit)
        return self.board.run(found)

    def reads(self, mark: str = "", limit: float = PATIENCE) -> str:
        """Return the first reading of the process that runs now, after `mark`, waiting until it is ready and reads."""
        ready = f"systemctl is-active --quiet {UNIT}"
        process = f"_PID=$(systemctl show {UNIT} --property MainPID --value)"
        found = f"journalctl --quiet --boot --output cat {mark} {process} | grep -Em1 '{READING}'"
        self.board.until(f"{ready} && {found} >/dev/null", limit)
        return self.board.run(found).split("  ")[-1]

    def says_status(self, words: str) -> None:
        """Wait until the service's status holds `words`."""
        self.board.until(f"systemctl show {UNIT} --property StatusText | grep -q '{words}'", PATIENCE)

    def goes_on(self, process: str) -> None:
        """Raise Unexpected unless frames still come, in the same `process`."""
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
        return Deployment(status, self.said, time.monotonic() - start)

    @contextmanager
    def deploying(self, *arguments: str | Path) -> Iterator[tuple[subprocess.Popen[str], Iterator[str]]]:
        """Run scripts/deploy.sh; yield it, and the lines that it says as they come, which are also kept in `said`."""
        process = self.board.deploy("--probe", str(self._probe), *map(str, arguments))
        limit = threading.Timer(DEPLOY_SECONDS, process.kill)
        limit.start()
        self.said: list[str] = []
        assert process.stdout
        try:
            yield process, self._listen(process.stdout)
        finally:
            limit.cancel()
            process.kill()
            process.wait()
            process.stdout.close()

    def _listen(self, lines: Iterator[str]) -> Iterator[str]:
        for line in lines:
            self.said.append(line.strip())
            say(f"    {line.rstrip()}")
            yield line


def plain(line: str) -> str:
    """Return what deploy.sh said in `line` without who said it."""
    return re.sub(r"^(pi-vm: |deploy\.sh: |install\.sh: |error: )+", "", line)


def require(true: bool, otherwise: str) -> None:
    if not true:
        raise Unexpected(otherwise)


def since(start: float) -> float:
    return time.monotonic() - start


# ---- what happens to it


def deployed(kiosk: Kiosk) -> tuple[str, float]:
    went = kiosk.deploy("--bundle", kiosk.material.first)
    went.require(0, "it runs")
    return went.end, went.seconds


def configured(kiosk: Kiosk) -> tuple[str, float]:
    # Also because a search for small faces takes an emulated processor seconds.
    kiosk.board.run(
        f"sudo sed --in-place 's/^# {EDITED.partition(' ')[0]} =.*/{EDITED}/' {CONFIG}; grep -x '{EDITED}' {CONFIG}"
    )
    start = time.monotonic()
    kiosk.board.run(f"sudo systemctl restart {UNIT}")
    reading, seconds = kiosk.reads(), since(start)
    kiosk.says_status("fps=")
    now = kiosk.state()
    return f"{now['ActiveState']}; '{reading}'; '{now['StatusText']}'", seconds


def killed(kiosk: Kiosk) -> tuple[str, float]:
    return came_back(
        kiosk, f"sudo systemctl kill --signal KILL {UNIT}", "Main process exited, code=killed, status=9/KILL"
    )


def hung(kiosk: Kiosk) -> tuple[str, float]:
    return came_back(kiosk, f"sudo systemctl kill --signal STOP {UNIT}", "Watchdog timeout")


def out_of_memory(kiosk: Kiosk) -> tuple[str, float]:
    kiosk.board.send(GREEDY.encode(), "/run/greedy")
    return came_back(kiosk, "sudo systemd-run --quiet python3 /run/greedy", "oom-kill|OOM killer|Watchdog timeout")


# Takes ever more memory, as a part of the service.
GREEDY = f"""
import os
with open("/sys/fs/cgroup/system.slice/{UNIT}.service/cgroup.procs", "w") as group:
    group.write(str(os.getpid()))
taken = []
while True:
    taken.append(b"x" * (4 << 20))
"""


def came_back(kiosk: Kiosk, fault: str, noticed: str) -> tuple[str, float]:
    """Do `fault`, wait until the journal says that it was `noticed`, and for the next process to read a face."""
    before, mark, start = kiosk.state(), kiosk.mark(), time.monotonic()
    kiosk.board.run(fault)
    line, noted = kiosk.says(noticed, mark), since(start)
    kiosk.board.until(f"[ $(systemctl show {UNIT} --property MainPID --value) != {before['MainPID']} ]")
    reading, seconds = kiosk.reads(), since(start)
    restarts = int(kiosk.state()["NRestarts"]) - int(before["NRestarts"])
    require(restarts == 1, f"{restarts} restarts")
    return f"'{line}' after {noted:.0f} s; one restart; '{reading}'", seconds


def unplugged(kiosk: Kiosk) -> tuple[str, float]:
    process, mark = kiosk.state()["MainPID"], kiosk.mark()
    # As when a plug is pulled: the device goes while the service has it open.
    kiosk.board.run(f"echo vivid.0 | sudo tee {DEVICE}/unbind")
    line = kiosk.says("^edge: ", mark)
    kiosk.board.until("sudo modprobe --remove vivid")
    kiosk.says_status("waiting for the camera")
    mark, start = kiosk.mark(), time.monotonic()
    kiosk.board.run("sudo modprobe vivid")
    back = kiosk.says("camera is back", mark)
    kiosk.says_status("1 face")
    seconds = since(start)
    kiosk.goes_on(process)
    return f"'{line}'; then '{back}'; '{kiosk.state()['StatusText']}', the same process", seconds


def no_model_deployed(kiosk: Kiosk) -> tuple[str, float]:
    return refused(kiosk, 78, "the model is refused", "--model", kiosk.material.no_model)


def refused(kiosk: Kiosk, status: int, words: str, *arguments: str | Path) -> tuple[str, float]:
    """Deploy what is refused with `status` and `words`, while what runs goes on."""
    process, release = kiosk.state()["MainPID"], kiosk.release()
    went = kiosk.deploy(*arguments)
    went.require(status, words)
    kiosk.goes_on(process)
    require(kiosk.release() == release, f"current leads to {kiosk.release()}")
    line = next(line for line in went.lines if words in line)
    return f"exit status {status}: '{line.split('error: ')[-1]}'; the same process reads on", went.seconds


def failing_deployed(kiosk: Kiosk) -> tuple[str, float]:
    release = kiosk.release()
    went = kiosk.deploy("--bundle", kiosk.material.failing)
    went.require(1, f"back to {release}, which runs")
    require(kiosk.release() == release, f"current leads to {kiosk.release()}")
    why = next(line for line in went.lines if "does not run" in line)
    return f"exit status 1: '{plain(why)}'; back to {release}: '{kiosk.reads()}'", went.seconds


def cut_while(
    what: Callable[[Material], tuple[str, Path]], said: str, reached: str
) -> Callable[[Kiosk], tuple[str, float]]:
    """Return what pulls the plug when the deployment of `what` has `said` so and then the shell's `reached` holds."""

    def act(kiosk: Kiosk) -> tuple[str, float]:
        before = kiosk.release()
        # A probation that is not over before the plug is pulled.
        with kiosk.deploying(*what(kiosk.material), "--probe", "120") as (_, lines):
            require(any(said in line for line in lines), f"not said: {said}")
            kiosk.board.until(reached)
            kiosk.board.cut()
        start = time.monotonic()
        kiosk.board.up()
        reading, seconds = kiosk.reads(), since(start)
        require(kiosk.release() == before, f"current leads to {kiosk.release()}")
        return f"after the boot {before} runs: '{reading}'", seconds

    return act


def model_deployed(kiosk: Kiosk) -> tuple[str, float]:
    went = kiosk.deploy("--model", kiosk.material.model)
    went.require(0, "it runs")
    require(kiosk.release() == kiosk.material.with_model, f"current leads to {kiosk.release()}")
    return f"{went.end}; '{kiosk.reads()}'", went.seconds


def rebooted(kiosk: Kiosk) -> tuple[str, float]:
    start = time.monotonic()
    kiosk.board.reboot()
    return f"'{kiosk.reads()}'", since(start)


def disk_filled(kiosk: Kiosk) -> tuple[str, float]:
    rest = "$(df --output=avail --block-size=1 / | tail -n 1)"
    # What is kept for root is filled, too.
    kiosk.board.run(
        f"sudo fallocate --length {rest} /var/tmp/full; sudo sh -c 'cat /dev/zero >/var/tmp/fuller'", check=False
    )
    try:
        seen, _ = refused(kiosk, 1, "no room", "--bundle", kiosk.material.second)
    finally:
        kiosk.board.run("sudo rm /var/tmp/full /var/tmp/fuller")
    start = time.monotonic()
    kiosk.board.run(f"sudo systemctl restart {UNIT}")
    return f"{seen}; restarted with room again: '{kiosk.reads()}'", since(start)


def misconfigured(kiosk: Kiosk) -> tuple[str, float]:
    mark = kiosk.mark()
    kiosk.board.run(f"sudo cp {CONFIG} {CONFIG}.good; echo 'max_fsp = 15' | sudo tee --append {CONFIG}")
    kiosk.board.run(f"sudo systemctl restart {UNIT}", check=False)
    now, line = kiosk.state(), kiosk.says("error", mark)
    # A unit that is to be started again is "activating" in the meantime.
    found = f"{now['ActiveState']}, exit status {now['ExecMainStatus']}, {now['NRestarts']} restarts"
    require(found == "failed, exit status 78, 0 restarts", found)
    start = time.monotonic()
    kiosk.board.run(f"sudo mv {CONFIG}.good {CONFIG}; sudo systemctl restart {UNIT}")
    return f"{found}: '{line}'; mended and restarted: '{kiosk.reads()}'", since(start)


def misconfigured_deployed(kiosk: Kiosk) -> tuple[str, float]:
    kiosk.board.run(f"sudo cp {CONFIG} {CONFIG}.good; echo 'max_fsp = 15' | sudo tee --append {CONFIG}")
    try:
        return refused(kiosk, 78, "refuses the configuration", "--bundle", kiosk.material.first)
    finally:
        kiosk.board.run(f"sudo mv {CONFIG}.good {CONFIG}")


def rolled_back(kiosk: Kiosk) -> tuple[str, float]:
    went = kiosk.deploy("--rollback")
    went.require(0, "it runs")
    require(kiosk.release() == release_of(kiosk.material.first), f"current leads to {kiosk.release()}")
    return f"{went.end}; '{kiosk.reads()}'", went.seconds


def kept(kiosk: Kiosk) -> tuple[str, float]:
    start = time.monotonic()
    line = kiosk.board.run(f"grep -x '{EDITED}' {CONFIG}", check=False)
    require(bool(line), f"no line '{EDITED}' in {CONFIG}")
    return f"'{line}'", since(start)


def asked(kiosk: Kiosk) -> tuple[str, float]:
    kiosk.says_status("fps=")
    went = kiosk.deploy("--status")
    went.require(0, " fps ")
    return f"'{went.lines[-1]}'", went.seconds


CASES = (
    Case("deploy", "deployed to a board that has nothing, no internet", "it runs", deployed),
    Case("restart", f"'{EDITED}' written to its configuration, restarted", "active, reads, counts frames", configured),
    Case("kill", "kill -9", "a new process, started once", killed),
    Case("hang", "stopped by SIGSTOP", f"ended by the watchdog after {WATCHDOG_SECONDS:g} s, a new process", hung),
    Case("memory", "something in the service takes more than MemoryMax", "ended, a new process", out_of_memory),
    Case("camera", "camera's driver unbound and removed, put back", "waited for; the same process reads on", unplugged),
    Case("model", "a file deployed that is no model", "refused (78), nothing changed", no_model_deployed),
    Case(
        "cut-sending",
        "power cut while a bundle is sent",
        "the old release runs after the boot",
        cut_while(
            lambda has: ("--bundle", has.second),
            "sending",
            "[ $(du --summarize --block-size=1M emotion-edge-incoming | cut -f 1) -ge 5 ]",
        ),
    ),
    Case(
        "cut-making",
        "power cut while a new release is made",
        "the old release runs after the boot",
        cut_while(
            lambda has: ("--bundle", has.failing),
            "making",
            f"[ $(ls -d {RELEASES}/*/venv/lib/*/site-packages/cv2 | wc -l) = 2 ]",
        ),
    ),
    Case(
        "failing",
        "deployed again, whole this time; its service fails",
        "what was left is made anew; back by itself, exit status 1",
        failing_deployed,
    ),
    Case(
        "cut-probation",
        "power cut while another model has to show that it works",
        "the old release runs after the boot",
        cut_while(lambda has: ("--model", has.model), "has to run well", f"systemctl is-active --quiet {UNIT}"),
    ),
    Case("again", "the same model deployed again", "it runs", model_deployed),
    Case("reboot", "rebooted", "reads after the boot", rebooted),
    Case("full", "disk filled to the last byte, a release deployed", "refused (1), the service goes on", disk_filled),
    Case("config", "an unknown key in the configuration, restarted", "ends with 78, is not tried again", misconfigured),
    Case("config-deploy", "the same, and a release deployed", "refused (78), nothing changed", misconfigured_deployed),
    Case("rollback", "deploy.sh --rollback", "the release before runs", rolled_back),
    Case("kept", "its configuration looked at, after all this", f"as it was edited: '{EDITED}'", kept),
    Case("status", "deploy.sh --status", "one line", asked),
)


# ---- the report


def table(rows: Sequence[Row]) -> str:
    """Return `rows` as a table in Markdown."""
    lines = ["| what was done | expected | seen | seconds | |", "| --- | --- | --- | ---: | --- |"]
    for row in rows:
        seconds = "" if row.seconds is None else f"{row.seconds:.0f}"
        cells = row.case.done, row.case.expected, row.seen, seconds, "as expected" if row.passed else "**NOT**"
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines)


def report(rows: Sequence[Row], about: str) -> str:
    """Return the page with `rows`, and `about` what they were seen on."""
    good = sum(row.passed for row in rows)
    return f"""# What an emulated board came through

{good} of {len(rows)} as expected. {about} Made by `scripts/pi-vm.sh e2e`; what it is and
what the seconds are stands in [pi-vm.md](pi-vm.md).

{table(rows)}
"""


def versions(kiosk: Kiosk) -> str:
    """Return date and versions in a sentence or two."""
    found = kiosk.board.run(
        "uname -r; systemctl --version | head -n 1; python3 --version; nproc; free -m | awk '/Mem/ {print $2}'"
    )
    kernel, systemd, python, processors, memory = found.splitlines()
    release, systemd = release_of(kiosk.material.first), " ".join(systemd.split()[:2])
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, release {release}, Debian trixie for arm64: Linux {kernel},\n"
        f"{systemd}, {python}, {processors} emulated processors, {memory} MB; QEMU {qemu_version()}."
    )


def try_case(case: Case, kiosk: Kiosk) -> Row:
    say(f"{case.name}: {case.done}")
    try:
        seen, seconds = case.act(kiosk)
        row = Row(case, seen, seconds, passed=True)
    except (Unexpected, BoardError) as error:
        row = Row(case, " ".join(str(error).split()), None, passed=False)
    say(f"{case.name}: {'as expected' if row.passed else 'NOT AS EXPECTED'}: {row.seen}")
    return row


# ---- what is deployed


def release_of(bundle: Path) -> str:
    """Return the name that the release in `bundle` has on a board."""
    return bundle.name.removeprefix("emotion-edge-").rpartition("-arm64")[0]


def make_material(folder: Path) -> Material:
    """Return what is deployed, in `folder`; what is there from before stays as it is."""
    listed = folder / "material.json"
    if not listed.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        made = [make_bundle(ROOT, "--out", str(folder)), *make_changed(folder), *make_models(folder)]
        listed.write_text(json.dumps([path.name for path in made]))
    return Material(*(folder / name for name in json.loads(listed.read_text())))


def make_changed(folder: Path) -> tuple[Path, Path]:
    """Return bundles of changed copies of this tree: one that works, one whose camera cannot be opened."""
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
    """Return a model that differs from the shipped one, but not in what it says, and one that was cut off."""
    shipped = (ROOT / "models/emotion.tflite").read_bytes()
    other, cut_off = folder / "other.tflite", folder / "cut-off.tflite"
    other.write_bytes(shipped)
    with zipfile.ZipFile(other, "a") as card:
        card.comment = b"another"
    cut_off.write_bytes(shipped[:1_000_000])
    return other, cut_off


def remember(rows: Sequence[Row], path: Path) -> None:
    """Write `rows` to `path`, whole or not at all."""
    told = [{"name": row.case.name, "seen": row.seen, "seconds": row.seconds, "passed": row.passed} for row in rows]
    aside = path.with_suffix(".part")
    aside.write_text(json.dumps(told, indent=1))
    aside.replace(path)


def remembered(path: Path) -> list[Row]:
    """Return the rows of a run that was stopped."""
    cases = {case.name: case for case in CASES}
    told = json.loads(path.read_text()) if path.exists() else []
    return [Row(cases[row.pop("name")], **row) for row in told]


def main() -> int:
    given = parse()
    board = Board("e2e", fresh=not (given.resume or given.only))
    try:
        with board:
            kiosk = Kiosk(board, make_material(board.folder / "material"), given.probe)
            rows = try_cases(kiosk, given.only, board.folder / "rows.json")
            about = versions(kiosk)
    except BoardError as error:
        say(f"pi-vm.sh: error: {error}")
        return 1
    except KeyboardInterrupt:
        say("pi-vm.sh: stopped; 'scripts/pi-vm.sh e2e --resume' goes on")
        return 130
    if given.only:
        print(table(rows))
    else:
        given.out.write_text(report(rows, about))
        say(f"written to {given.out}")
    return 0 if all(row.passed for row in rows) else 1


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="pi-vm.sh e2e", description=__doc__.splitlines()[0] if __doc__ else None)
    names = [case.name for case in CASES]
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--resume", action="store_true", help="go on with a run that was stopped")
    which.add_argument(
        "--only", action="append", choices=names, help="just this, on the board as it was left; any number"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "docs/pi-vm-results.md", help="where the table goes")
    parser.add_argument("--probe", type=int, default=PROBE, help="seconds that a deployed release has to run well")
    return parser.parse_args()


def try_cases(kiosk: Kiosk, only: Sequence[str] | None, path: Path) -> list[Row]:
    """Return a row for each case, or `only` for some. Rows of a whole run are kept at `path` until the next one."""
    if only:
        return [try_case(case, kiosk) for case in CASES if case.name in only]
    rows = remembered(path)
    for case in CASES[len(rows) :]:
        rows.append(try_case(case, kiosk))
        remember(rows, path)
    return rows


if __name__ == "__main__":
    sys.exit(main())
