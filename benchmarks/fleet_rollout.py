"""Roll releases out to a fleet of boards on this machine, with failures, and check that no board is left broken.

The boards are folders, reached by Ansible without ssh; playbooks and scripts/install.sh are the real ones; systemctl,
virtual environment and pip are those of the tests. First a release goes to all boards. Then each run rolls out two:

    stopped    two boards of the second batch fail, one hangs with the release and one has a full disk: the rollout must
               end there
    spread     2 % of the last batch are off, 2 % lose power in the middle, up to 2 % fail as above: all others get the
               release, and after their start those that were off or lost power get it by the retry list

A board counts as broken if it does not run the release before or the new one, completely, with nothing left over.
Times are those of the playbooks, with the load of the machine beside them; a board's own minutes are not in them. Needs
ansible-core: pip install --group fleet.
"""

from __future__ import annotations

import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import make_parser
from tests.support.fleet import Fleet, Played, is_whole

EACH_FAILURE = 0.02  # fraction of the last batch that is off, and of those whose power fails; at least one
TOLERATED = 0.02  # max_fail_percentage of deploy.yml
WATCHDOG_SECONDS = 10  # more than a step of the health check takes on a busy machine
POWER_CUTS = ("daemon-reload", "start", "show")  # calls of systemctl at which the power fails


class Rollout:
    """A fleet, its releases, and the failures that are injected.

    Args:
        forks: boards at a time.
        seed: of the choice of boards that fail.
    """

    def __init__(self, fleet: Fleet, forks: int, seed: int) -> None:
        self.fleet, self._forks, self._random = fleet, forks, random.Random(seed)  # noqa: S311 # not for secrets
        self._release = 0
        self._before: dict[str, str | None] = {}  # what each board ran before this release
        self._last = 1 + max(1, len(fleet.names) // 10)  # number of the first board of the last batch

    def deploy(self, title: str, *arguments: str) -> Played:
        """Run deploy.yml and print what it took."""
        self.fleet.variables["emotion_edge_release"] = str(self._release)
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        played = self.fleet.play("deploy.yml", *arguments, ANSIBLE_FORKS=str(self._forks))
        seconds, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        new = self.fleet.running.count(str(self._release))
        print(
            f"{title:20} {seconds:6.0f} s, {cpu:6.0f} s of processor, load {os.getloadavg()[0]:4.1f}: "
            f"release {self._release} on {new} of {len(self.fleet.names)} boards",
            flush=True,
        )
        return played

    def next_release(self) -> str:
        self._before = dict(zip(self.fleet.names, self.fleet.running, strict=True))
        self._release += 1
        self.fleet.make_bundle(str(self._release), watchdog=WATCHDOG_SECONDS)
        return str(self._release)

    def broken(self) -> list[str]:
        """Return the boards that run neither the new release nor the one that they ran before."""
        new = str(self._release)
        return [name for name, old in self._before.items() if not is_whole(self.fleet[name], [new, old or new])]

    def fail_on(self, boards: Sequence[str], release: str) -> None:
        """Let the release hang on every other one of `boards`, and fill the disks of the others."""
        for number, name in enumerate(boards):
            if number % 2 == 0:
                self.fleet.set_behavior(name, release, "hangs")
            else:
                (self.fleet[name].root / "full").touch()

    def empty_disks(self) -> None:
        for board in self.fleet.boards:
            (board.root / "full").unlink(missing_ok=True)

    def stopped(self) -> list[str]:
        """Roll out a release that fails on two boards of the second batch; return what is wrong afterwards."""
        release, fleet = self.next_release(), self.fleet
        second, later = fleet.names[1 : self._last], fleet.names[self._last :]
        fails = self._random.sample(second, 2)
        self.fail_on(fails, release)
        played = self.deploy("stopped in batch 2")
        self.empty_disks()
        wrong = [] if played.status == 2 else [f"exit status {played.status}"]
        wrong += [f"{name} has the release that fails there" for name in fails if fleet[name].runs == release]
        return wrong + [f"{name} of a later batch has the release" for name in later if fleet[name].runs == release]

    def spread(self) -> list[str]:
        """Roll out a release with failures in the last batch, then the retry; return what is wrong afterwards."""
        release, fleet = self.next_release(), self.fleet
        last = fleet.names[self._last :]
        each, tolerated = max(1, round(EACH_FAILURE * len(last))), int(TOLERATED * len(last))
        chosen = self._random.sample(last, 2 * each + tolerated)
        off, cut, fails = chosen[:each], chosen[each : 2 * each], chosen[2 * each :]
        fleet.switch_off(*off)
        for name in cut:
            fleet.cut_power(name, self._random.choice(POWER_CUTS))
        self.fail_on(fails, release)
        self.deploy("with failures")
        fleet.boot(*off, *cut)
        self.deploy("retry", "--limit", f"@{fleet.retry_list}")
        self.empty_disks()
        expected = dict.fromkeys(fleet.names, release) | {name: self._before[name] for name in fails}
        return [f"{name} runs {fleet[name].runs}" for name in fleet.names if fleet[name].runs != expected[name]]


def measure(boards: int, runs: int, forks: int, folder: Path) -> list[str]:
    """Return what went wrong in all runs."""
    rollout = Rollout(Fleet(folder, boards), forks, seed=boards)
    rollout.next_release()
    rollout.deploy("first release")
    wrong = [f"first release: {name} is broken" for name in rollout.broken()]
    rollout.deploy("the same again")
    for run in range(1, runs + 1):
        print(f"run {run}")
        for step in (rollout.stopped, rollout.spread):
            wrong += [f"run {run}: {text}" for text in step()]
            wrong += [f"run {run}: {name} is broken" for name in rollout.broken()]
    return wrong


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser("fleet_rollout", __doc__ or "")
    parser.add_argument("--boards", type=int, default=200, help="at least 21 (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="with failures (default: %(default)s)")
    parser.add_argument("--forks", type=int, default=16, help="boards at a time (default: %(default)s)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="fleet-") as folder:
        wrong = measure(options.boards, options.runs, options.forks, Path(folder))
    print("\n".join(wrong) or f"0 boards broken in {options.runs} runs")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
