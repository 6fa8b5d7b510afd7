"""The fuzzer finds what it looks for, and a campaign continues where it was interrupted."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace

import pytest

from tests.fuzz import broken_door
from tests.fuzz.__main__ import run_rounds
from tests.fuzz.campaign import Campaign
from tests.fuzz.door import find, names
from tests.fuzz.mutation import make_input

BROKEN = "tests.fuzz.broken_door"


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("raise", "KeyError at broken_door.py"),
        ("crash", "crash: SIGABRT"),
        ("allocate", "memory grew by more than 200 MB"),
        pytest.param("loop", "more than 5 s of processor time", marks=pytest.mark.slow),
    ],
)
def test_each_fault_is_a_failure_with_its_number(monkeypatch, fault, outcome):
    monkeypatch.setenv("FAULT", fault)
    tally = Campaign().run(BROKEN, seed=1, inputs=1)
    assert (tally.tried, tally.failed) == (1, 1)
    assert tally.failures[0]["number"] == 0
    assert tally.failures[0]["outcome"].startswith(outcome)


def test_expected_errors_and_returns_are_no_failures(monkeypatch):
    for fault, accepted, refused in (("none", 3, 0), ("refuse", 0, 3)):
        monkeypatch.setenv("FAULT", fault)
        tally = Campaign().run(BROKEN, seed=1, inputs=3)
        assert (tally.accepted, tally.refused, tally.failed) == (accepted, refused, 0)


@pytest.mark.parametrize("fault", ["none", "crash"])
def test_worker_leaves_no_temporary_files(monkeypatch, tmp_path, fault):
    monkeypatch.setenv("FAULT", fault)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert Campaign().run(BROKEN, seed=1, inputs=2).tried == 2
    assert list(tmp_path.iterdir()) == []


def test_campaign_goes_on_after_crash_and_interruption(monkeypatch, tmp_path):
    monkeypatch.setenv("FAULT", "crash")
    Campaign(tmp_path / "state").run(BROKEN, seed=7, inputs=2)
    monkeypatch.setenv("FAULT", "none")
    campaign = Campaign(tmp_path / "state")
    tally = campaign.run(BROKEN, seed=7, inputs=3)
    assert (tally.next_number, tally.tried, tally.failed, tally.accepted) == (5, 5, 2, 3)
    assert json.loads((tmp_path / "state").read_text())[BROKEN]["7"]["next_number"] == 5
    assert "input 0: crash: SIGABRT, and 1 more of this kind" in campaign.table()


@pytest.mark.keras
def test_the_doors_have_a_million_inputs_together():
    assert sum(find(name).campaign_inputs for name in names()) >= 1_000_000


def test_a_campaign_ends_with_the_share_of_each_door(monkeypatch):
    monkeypatch.setenv("FAULT", "none")
    monkeypatch.setattr(broken_door, "DOOR", replace(broken_door.DOOR, campaign_inputs=7))
    campaign = Campaign()
    campaign.run(BROKEN, seed=1, inputs=2)
    run_rounds(campaign, [BROKEN], seed=1)
    assert campaign.tally(BROKEN, 1).tried == 7


def test_a_door_that_cannot_be_loaded_is_an_error():
    with pytest.raises(RuntimeError, match="No module named"):
        Campaign().run("tests.fuzz.no_door", seed=1, inputs=1)


def test_input_depends_on_seed_and_number_only():
    seeds = [b"one seed", b"another seed"]
    inputs = [make_input(broken_door.DOOR, seeds, 1, number) for number in range(50)]
    assert inputs == [make_input(broken_door.DOOR, seeds, 1, number) for number in range(50)]
    assert inputs[:2] == seeds
    assert len(set(inputs)) > 40
    assert inputs[2:] != [make_input(broken_door.DOOR, seeds, 2, number) for number in range(2, 50)]
