"""Each door accepts some inputs and refuses others in an orderly way; `python -m tests.fuzz` tries more."""

from __future__ import annotations

import pytest

from edge.errors import UsageError
from tests.fuzz.campaign import Campaign
from tests.fuzz.door import find, names

SLOW_FACTOR = 5  # more inputs where the tests may take minutes


@pytest.mark.parametrize("name", names())
def test_no_mutated_input_makes_a_door_fail(name):
    try_inputs(name, seed=1, factor=1)


@pytest.mark.slow
@pytest.mark.parametrize("name", names())
def test_none_of_many_mutated_inputs_makes_a_door_fail(name):
    try_inputs(name, seed=2, factor=SLOW_FACTOR)


def try_inputs(name: str, seed: int, factor: int) -> None:
    """Try `factor` times as many inputs as the door `name` says."""
    try:
        door = find(name)
    except (UsageError, ModuleNotFoundError) as missing:  # an extra of the package that is not installed
        if isinstance(missing, ModuleNotFoundError) and (missing.name or "").startswith(("edge", "trainer", "tests")):
            raise
        pytest.skip(str(missing))
    campaign = Campaign()
    tally = campaign.run(name, seed=seed, inputs=factor * door.test_inputs)
    assert tally.tried == factor * door.test_inputs
    assert not tally.failed, campaign.table()
    assert tally.accepted, "no input got through the door"
    assert tally.refused, "no input was bad enough"
