"""Roll releases out to a fleet of boards on this machine, with failures, and check that no board is left broken.

The boards are folders, reached by Ansible without ssh; playbooks and scripts/install.sh are the real ones; systemctl,
virtual environment and pip are those of the tests. Parts:

    good        a release to all boards that have none, then the same again
    stopped     two boards of the second batch fail, one hangs with the release and one has a full disk: the rollout
                must end there
    failures    `--runs` times a release while 2 % of the last batch are off, 2 % lose power in the middle (kill -9 of
                the installer), and up to 2 % hang or have a full disk: all others get the release, and after their
                start those that were off or lost power get it by the retry list

A board counts as broken if it does not run the release before or the new one, completely, with nothing left over. With
`--results FILE` each part is written when it ends, and a later call goes on after it. Times are those of the playbooks,
with the load of the machine beside them; a board's own minutes are not in them. Needs ansible-core: pip install --group
fleet.
"""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.common import make_parser
from edge.system.atomic_file import atomic_write
from tests.support.fleet import Fleet, is_whole
from tests.support.paths import ROOT

PARTS = ("good", "stopped", "failures")
EACH_FAILURE = 0.02  # fraction of the last batch that is off, and of those whose power fails; at least one
TOLERATED = 0.02  # max_fail_percentage of deploy.yml
WATCHDOG_SECONDS = 30  # more than a step of the health check takes on a busy machine
POWER_CUTS = ("daemon-reload", "start", "show")  # calls of systemctl at which the power fails


@dataclass
class Outcome:
    """What one part of the measurement found.

    Attributes:
        injected: how many boards had which failure.
        plays: one entry for each run of deploy.yml.
        wrong: what should not be; broken boards among it.
    """

    injected: dict[str, int] = field(default_factory=dict)
    plays: list[dict[str, Any]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class Rollout:
    """A fleet, its releases, and the failures that are injected.

    Args:
        forks: boards at a time.
    """

    def __init__(self, fleet: Fleet, forks: int) -> None:
        self.fleet, self._forks = fleet, forks
        self._release = 0
        self._before: dict[str, str | None] = {}  # what each board ran before this release
        self._last = 1 + max(1, len(fleet.names) // 10)  # number of the first board of the last batch
        (fleet.tools / "sleep").unlink()  # the installer asks a board that hangs every half second, as a real one

    def measure(self, title: str) -> Outcome:
        """Run the part `title`: `good`, `stopped`, or `failures` and a number, which chooses other boards."""
        if title != "good" and not self._release:
            self._install_first()
        self._before = dict(zip(self.fleet.names, self.fleet.running, strict=True))
        outcome = Outcome()
        part = {"good": self._good, "stopped": self._stopped}.get(title, self._failures)
        part(outcome, random.Random(title))  # noqa: S311 # not for secrets
        new = str(self._release)
        outcome.wrong += [
            f"{name} is broken"
            for name, old in self._before.items()
            if not is_whole(self.fleet[name], [new, old or new])
        ]
        return outcome

    def _install_first(self) -> None:
        """Bring a release to all boards by the installer alone."""
        bundle = self._next_release()
        for board in self.fleet.boards:
            result = board.install(bundle)
            assert result.returncode == 0, result.stdout

    def _next_release(self) -> Path:
        """Make the next release, and return its unpacked bundle."""
        self._release += 1
        return self.fleet.make_bundle(str(self._release), watchdog=WATCHDOG_SECONDS).with_suffix("")

    def _deploy(self, outcome: Outcome, title: str, *arguments: str) -> int:
        """Run deploy.yml, print and note what it took, and return its exit status."""
        self.fleet.variables["emotion_edge_release"] = str(self._release)
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        played = self.fleet.play("deploy.yml", *arguments, ANSIBLE_FORKS=str(self._forks))
        seconds, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        new, load = self.fleet.running.count(str(self._release)), os.getloadavg()[0]
        print(
            f"    {title:14} {seconds:6.0f} s, {cpu:6.0f} s of processor, load {load:4.1f}: "
            f"release {self._release} on {new} of {len(self.fleet.names)} boards",
            flush=True,
        )
        figures = {"seconds": round(seconds), "processor_seconds": round(cpu), "load": round(load, 1)}
        outcome.plays.append({"title": title, **figures, "status": played.status, "boards": new})
        return played.status

    def _good(self, outcome: Outcome, _: random.Random) -> None:
        self._next_release()
        for title in ("first release", "the same again"):
            status = self._deploy(outcome, title)
            if status or self.fleet.running != [str(self._release)] * len(self.fleet.names):
                outcome.wrong.append(f"{title}: exit status {status}, or not on all boards")

    def _stopped(self, outcome: Outcome, choice: random.Random) -> None:
        self._next_release()
        release, fleet = str(self._release), self.fleet
        second, later = fleet.names[1 : self._last], fleet.names[self._last :]
        fails = choice.sample(second, 2)
        outcome.injected = self._fail_on(fails)
        status = self._deploy(outcome, "second batch")
        self._empty_disks()
        outcome.wrong += [] if status == 2 else [f"exit status {status}"]
        outcome.wrong += [f"{name} has the release that fails there" for name in fails if fleet[name].runs == release]
        outcome.wrong += [f"{name} of a later batch has the release" for name in later if fleet[name].runs == release]

    def _failures(self, outcome: Outcome, choice: random.Random) -> None:
        self._next_release()
        release, fleet = str(self._release), self.fleet
        last = fleet.names[self._last :]
        each, tolerated = max(1, round(EACH_FAILURE * len(last))), int(TOLERATED * len(last))
        chosen = choice.sample(last, 2 * each + tolerated)
        off, cut, fails = chosen[:each], chosen[each : 2 * each], chosen[2 * each :]
        fleet.switch_off(*off)
        for name in cut:
            fleet.cut_power(name, choice.choice(POWER_CUTS))
        outcome.injected = {"off": len(off), "power cut": len(cut), **self._fail_on(fails)}
        self._deploy(outcome, "with failures")
        fleet.boot(*off, *cut)
        self._deploy(outcome, "retry", "--limit", f"@{fleet.retry_list}")
        self._empty_disks()
        expected = dict.fromkeys(fleet.names, release) | {name: self._before[name] for name in fails}
        outcome.wrong += [
            f"{name} runs {fleet[name].runs}" for name in fleet.names if fleet[name].runs != expected[name]
        ]

    def _fail_on(self, boards: Sequence[str]) -> dict[str, int]:
        """Let the release hang on every other one of `boards`, fill the disks of the others, and return how many."""
        for name in boards[::2]:
            self.fleet.set_behavior(name, str(self._release), "hangs")
        for name in boards[1::2]:
            (self.fleet[name].root / "full").touch()
        return {"hangs": len(boards[::2]), "full disk": len(boards[1::2])}

    def _empty_disks(self) -> None:
        for board in self.fleet.boards:
            (board.root / "full").unlink(missing_ok=True)


def load_results(path: Path | None, boards: int) -> dict[str, Any]:
    """Return what is in `path`; no parts yet if there is no such file.

    Raises:
        SystemExit: it is of another commit or number of boards.
    """
    command = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    results: dict[str, Any] = {"commit": commit, "boards": boards, "parts": {}}
    if path and path.exists():
        found = json.loads(path.read_text())
        if (found["commit"], found["boards"]) != (commit, boards):
            sys.exit(f"{path}: has {found['boards']} boards at {found['commit']}, not {boards} at {commit}; remove it")
        results = found
    return results


def measure(titles: Sequence[str], results: dict[str, Any], forks: int, path: Path | None) -> None:
    """Run the parts `titles` that are not in `results`, add them, and write `path` after each."""
    with tempfile.TemporaryDirectory(prefix="fleet-") as folder:
        rollout = Rollout(Fleet(Path(folder), results["boards"]), forks)
        for title in titles:
            if title not in results["parts"]:
                print(title, flush=True)
                results["parts"][title] = asdict(rollout.measure(title))
                if path:
                    atomic_write(path, (json.dumps(results, indent=1) + "\n").encode())


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser("fleet_rollout", __doc__ or "")
    parser.add_argument("part", nargs="*", default=PARTS, help="good, stopped, failures (default: all)")
    parser.add_argument("--boards", type=int, default=200, help="at least 21 (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="of the part failures (default: %(default)s)")
    parser.add_argument("--forks", type=int, default=16, help="boards at a time (default: %(default)s)")
    parser.add_argument("--results", type=Path, help="file (JSON) to continue, and to write")
    options = parser.parse_args(arguments)
    if unknown := set(options.part) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    runs = [f"failures {number}" for number in range(1, options.runs + 1)]
    titles = [title for part in PARTS if part in options.part for title in (runs if part == "failures" else [part])]
    results = load_results(options.results, options.boards)
    measure(titles, results, options.forks, options.results)
    wrong = [f"{title}: {text}" for title in titles for text in results["parts"][title]["wrong"]]
    print("\n".join(wrong) or f"0 boards broken in: {', '.join(titles)}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
