"""deploy.yml brings a release to every board in batches, stops where it fails, and breaks no board."""

import re

import pytest

from tests.support.fleet import is_whole

pytestmark = [pytest.mark.scripts, pytest.mark.slow, pytest.mark.timeout(900)]  # a busy machine takes long


def deploy(fleet, release, *arguments):
    fleet.variables["emotion_edge_release"] = release
    return fleet.play("deploy.yml", *arguments)


def test_a_release_reaches_all_boards_once(make_fleet):
    fleet = make_fleet(3)
    fleet.make_bundle("1")
    played = deploy(fleet, "1")
    assert played.status == 0, played.output
    assert fleet.running == ["1"] * 3
    assert played.changed == fleet.names
    for board in fleet.boards:
        assert is_whole(board, ["1"])
        assert not list((board.root / "root").iterdir())
    played = deploy(fleet, "1")
    assert (played.status, played.changed) == (0, []), played.output
    assert [board.starts for board in fleet.boards] == [["1"]] * 3


def test_check_mode_and_limit_leave_other_boards_alone(make_running):
    fleet = make_running(2)
    fleet.make_bundle("2")
    played = deploy(fleet, "2", "--check")
    assert (played.status, played.changed) == (0, fleet.names), played.output
    assert "1 -> 2" in played.output
    assert fleet.running == ["1", "1"]
    played = deploy(fleet, "2", "--limit", "kiosk002")
    assert played.status == 0, played.output
    assert fleet.running == ["1", "2"]


def test_a_canary_that_fails_ends_the_rollout(make_running):
    fleet = make_running(3)
    fleet.make_bundle("2", "ends")
    fleet.switch_off("kiosk003")
    played = deploy(fleet, "2")
    assert (played.status, played.failed) == (2, ["kiosk001"]), played.output
    assert "failed its health check and was rolled back" in played.output
    assert fleet.running == ["1"] * 3
    assert is_whole(fleet["kiosk001"], ["1"])
    assert fleet["kiosk002"].starts == ["1"]
    assert not fleet.retry_list.exists(), "the retry would go on with a release that fails"


def test_a_failure_in_the_second_batch_ends_the_rollout(make_running):
    fleet = make_running(4)  # batches of 1, 1, 2
    fleet.make_bundle("2")
    fleet.set_behavior("kiosk002", "2", "ends")
    played = deploy(fleet, "2")
    assert (played.status, played.failed) == (2, ["kiosk002"]), played.output
    assert [board.starts for board in fleet.boards] == [["1", "2"], ["1", "2", "1"], ["1"], ["1"]]
    assert all(is_whole(board, ["1", "2"]) for board in fleet.boards)


def test_boards_that_were_off_follow_by_the_retry(make_running):
    fleet = make_running(3)
    fleet.make_bundle("2")
    fleet.switch_off("kiosk001", "kiosk003")
    played = deploy(fleet, "2")
    assert (played.status, played.failed) == (0, []), played.output
    assert fleet.retry_list.read_text() == "kiosk001\nkiosk003\n"
    assert "2 did not answer" in played.output
    fleet.boot("kiosk001")
    assert fleet.running == ["1", "2", "1"]
    played = deploy(fleet, "2", "--limit", f"@{fleet.retry_list}")
    assert (played.status, played.changed) == (0, ["kiosk001"]), played.output
    assert fleet.running == ["2", "2", "1"]
    assert fleet.retry_list.read_text() == "kiosk003\n"
    retry = ("--limit", f"@{fleet.retry_list}")
    assert deploy(fleet, "2", *retry).status == 2, "none answers"
    assert deploy(fleet, "2", *retry, "-e", "emotion_edge_all_may_be_off=true").status == 0
    fleet.boot("kiosk003")
    assert deploy(fleet, "2", *retry).status == 0
    assert not fleet.retry_list.exists(), "an empty list would be all boards"


@pytest.mark.parametrize("call", ["daemon-reload", "start", "show"])
def test_a_power_cut_in_the_middle_is_recovered_and_retried(make_running, call):
    fleet = make_running(2)
    fleet.make_bundle("2")
    fleet.cut_power("kiosk002", call)
    played = deploy(fleet, "2")
    assert "kiosk002" in played.unreachable, played.output
    board = fleet["kiosk002"]
    assert (board.root / "off").exists()
    fleet.boot("kiosk002")
    assert (board.runs, board.current, board.pending) == ("1", "1", False)
    played = deploy(fleet, "2")
    assert played.status == 0, played.output
    assert fleet.running == ["2", "2"]
    assert all(is_whole(board, ["2"]) for board in fleet.boards)


@pytest.mark.parametrize(("failure", "words"), [("full", "not enough space"), ("hangs", "no frame passed all stages")])
def test_a_board_that_fails_keeps_the_old_release(make_running, failure, words):
    fleet = make_running(1)
    fleet.make_bundle("2", "hangs" if failure == "hangs" else "runs")
    if failure == "full":
        (fleet["kiosk001"].root / "full").touch()
    played = deploy(fleet, "2")
    assert (played.status, played.failed) == (2, ["kiosk001"])
    assert words in played.output
    assert is_whole(fleet["kiosk001"], ["1"])
    assert not list((fleet["kiosk001"].root / "root").iterdir())


def test_a_refused_configuration_is_named_by_its_exit_status(make_running):
    fleet = make_running(1)
    fleet.make_bundle("2")
    fleet["kiosk001"].config.write_text("wrong = 1\n")
    played = deploy(fleet, "2")
    assert re.search("the release refuses the board's\\s+configuration", played.output)
    assert fleet["kiosk001"].starts == ["1"]


def test_a_missing_bundle_says_how_to_make_it(make_running):
    fleet = make_running(1)
    for arguments in ((), ("--check",)):
        played = deploy(fleet, "2", *arguments)
        assert (played.status, played.failed) == (2, ["kiosk001"])
        assert "make it: scripts/bundle.sh --target" in played.output
