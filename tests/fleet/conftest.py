"""Fleets for the tests of the playbooks."""

import pytest

from tests.support.fleet import Fleet, ansible


@pytest.fixture
def make_fleet(tmp_path):
    """Make a fleet of boards with nothing installed: make_fleet(5)."""
    if ansible("ansible-playbook") is None:
        pytest.skip("ansible-core is not installed: 'pip install --group fleet'")
    return lambda size: Fleet(tmp_path, size)


@pytest.fixture
def make_running(make_fleet):
    """Make a fleet on which release 1 runs."""

    def made(size: int) -> Fleet:
        fleet: Fleet = make_fleet(size)
        fleet.make_bundle("1")
        for board in fleet.boards:
            result = board.install(next((fleet.folder / "bundles").glob("emotion-edge-1-*[0-9]")))
            assert result.returncode == 0, result.stdout
        return fleet

    return made
