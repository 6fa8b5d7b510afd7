"""A door: one function at which something from outside enters the program, and inputs to start from.

To add a door, add a module to tests/fuzz/doors with a constant DOOR. Its file name is its name on the command line.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.errors import EmotionEdgeError

DOORS_PACKAGE = "tests.fuzz.doors"


@dataclass(frozen=True)
class Door:
    """What the fuzzer needs to know about a door.

    Args:
        seeds: returns inputs that get far into the program, most of them valid, always the same ones; each input that
            is tried is one of them or a mutation.
        receive: hands one input to the program. It returns if the input is accepted, raises one of `refusals` if it is
            refused, and any other exception is a failure. It runs in a process of its own, in which it may keep state,
            such as a server, from one input to the next.
        refusals: errors by which the program refuses an input in one line.
        tokens: byte strings that mean something to the parser behind the door; mutations insert them.
        test_inputs: number of inputs that the tests try; they should take a few seconds.
        campaign_inputs: number of inputs in a campaign of a million at all doors: more where an input is cheap.
    """

    seeds: Callable[[], Sequence[bytes]]
    receive: Callable[[bytes], object]
    refusals: tuple[type[BaseException], ...] = (EmotionEdgeError,)
    tokens: tuple[bytes, ...] = ()
    test_inputs: int = 300
    campaign_inputs: int = 20_000


def names() -> list[str]:
    """Return the names of all doors."""
    return sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).with_name("doors"))]))


def find(name: str) -> Door:
    """Return the door `name`; a name with dots is that of any module with a constant DOOR."""
    module = importlib.import_module(name if "." in name else f"{DOORS_PACKAGE}.{name}")
    door = module.DOOR
    assert isinstance(door, Door)
    return door
