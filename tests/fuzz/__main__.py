"""Try mutated inputs at the doors through which something from outside enters the program.

    python -m tests.fuzz                                  every door, 10 s each
    python -m tests.fuzz images --seconds 36000           one door, for hours
    python -m tests.fuzz images --seed 2 --inputs 5000    another sequence of inputs, by number
    python -m tests.fuzz images --seed 2 --reproduce 812  one input again, written to a file, with its traceback
    python -m tests.fuzz --campaign                       a million inputs: as many at each door as it says
    python -m tests.fuzz --table                          what has come of all inputs so far

A campaign continues where it was interrupted: its state is in --state. Each input is determined by door, seed and
number. Exit status 1 if an input failed: an exception that no door may raise, a crash, more than 5 s of processor time,
or more than 200 MB of memory.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.campaign import Campaign
from tests.fuzz.door import find, names
from tests.fuzz.mutation import make_input

DEFAULT_SECONDS = 10.0
ROUNDS = 20  # of a campaign, in each of which every door has its turn


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("doors", nargs="*", metavar="DOOR", help=f"of {', '.join(names())}; default: all")
    parser.add_argument("--seconds", type=float, help=f"for each door [{DEFAULT_SECONDS:g}]")
    parser.add_argument("--inputs", type=int, help="number of inputs for each door, in place of --seconds")
    parser.add_argument("--seed", type=int, default=1, help="of the sequence of inputs [1]")
    parser.add_argument("--state", type=Path, default=Path("out/fuzz.json"), help="file of the campaign")
    parser.add_argument("--reproduce", type=int, metavar="NUMBER", help="try one input again, in this process")
    parser.add_argument("--campaign", action="store_true", help="try the doors' shares of a million inputs")
    parser.add_argument("--table", action="store_true", help="only print the table")
    options = parser.parse_args()
    unknown = [name for name in options.doors if "." not in name and name not in names()]
    if unknown:
        parser.error(f"no door {unknown[0]!r}; there are {', '.join(names())}")
    if options.reproduce is not None:
        if len(options.doors) != 1:
            parser.error("--reproduce needs one door")
        reproduce(options.doors[0], options.seed, options.reproduce)
        return
    campaign = Campaign(options.state)
    seconds = options.seconds if options.seconds or options.inputs else DEFAULT_SECONDS
    doors = [] if options.table else options.doors or names()
    if options.campaign:
        run_rounds(campaign, doors, options.seed)
    else:
        for name in doors:
            campaign.run(name, options.seed, inputs=options.inputs, seconds=seconds)
    print(campaign.table())
    sys.exit(any(campaign.tally(name, options.seed).failed for name in doors))


def run_rounds(campaign: Campaign, doors: Sequence[str], seed: int) -> None:
    """Try the inputs of a campaign at `doors` that have not been tried yet, and print the table after each round."""
    cheap_first = sorted(doors, key=lambda name: -find(name).campaign_inputs)
    for turn in range(1, ROUNDS + 1):
        for name in cheap_first:
            due = find(name).campaign_inputs * turn // ROUNDS - campaign.tally(name, seed).tried
            if due > 0:
                campaign.run(name, seed, inputs=due)
        print(f"round {turn} of {ROUNDS}\n{campaign.table()}\n", flush=True)


def reproduce(name: str, seed: int, number: int) -> None:
    """Write the input to a file, and hand it to its door."""
    door = find(name)
    content = make_input(door, door.seeds(), seed, number)
    path = Path(f"{name}-{seed}-{number}.input")
    path.write_bytes(content)
    print(f"{path}: {len(content)} bytes")
    try:
        door.receive(content)
        print("accepted")
    except door.refusals as error:
        print(f"refused: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
