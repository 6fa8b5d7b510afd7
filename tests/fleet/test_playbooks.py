"""rollback.yml, model.yml, configure.yml and status.yml; each run once more changes nothing."""

import stat

import pytest

from tests.support.board import executable
from tests.support.fleet import is_whole

pytestmark = [pytest.mark.scripts, pytest.mark.slow, pytest.mark.timeout(900)]  # a busy machine takes long


@pytest.fixture
def fleet(make_running):
    found = make_running(2)
    found.variables["emotion_edge_release"] = "1"
    return found


# ---- rollback.yml


def test_a_release_is_taken_back_where_it_runs_and_only_there(fleet):
    assert fleet["kiosk001"].install(fleet.make_bundle("2").with_suffix("")).returncode == 0
    fleet.variables["emotion_edge_release"] = "2"
    assert fleet.running == ["2", "1"]
    for changed in (["kiosk001"], []):
        played = fleet.play("rollback.yml")
        assert (played.status, played.changed) == (0, changed), played.output
        assert fleet.running == ["1", "1"]
    assert fleet["kiosk002"].starts == ["1"]


def test_a_rollback_without_an_earlier_release_changes_nothing(fleet):
    played = fleet.play("rollback.yml", "--limit", "kiosk001")
    assert (played.status, played.failed) == (2, ["kiosk001"])
    assert "nothing to roll back to" in played.output
    assert fleet["kiosk001"].starts == ["1"]


# ---- model.yml


def test_a_model_is_sent_once_and_names_its_release(fleet, tmp_path):
    model = tmp_path / "my.tflite"
    model.write_text("good other runs\n")
    arguments = ("-e", f"emotion_edge_model={model}", "--limit", "kiosk001")
    played = fleet.play("model.yml", *arguments)
    assert played.status == 0, played.output
    name = fleet["kiosk001"].current
    assert f"emotion_edge_release: {name}" in played.output
    assert name.startswith("1.m")
    assert not list((fleet["kiosk001"].root / "root").iterdir())
    played = fleet.play("model.yml", *arguments)
    assert (played.status, played.changed) == (0, []), played.output
    assert fleet["kiosk002"].current == "1"


def test_a_model_that_cannot_be_loaded_is_refused(fleet, tmp_path):
    model = tmp_path / "my.tflite"
    model.write_text("bad other runs\n")
    played = fleet.play("model.yml", "-e", f"emotion_edge_model={model}")
    assert "kiosk001" in played.failed
    assert "the model is refused" in played.output
    assert all(is_whole(board, ["1"]) for board in fleet.boards)


def test_a_model_that_does_not_exist_is_named(fleet):
    played = fleet.play("model.yml", "-e", "emotion_edge_model=/none.tflite")
    assert played.status == 2
    assert "/none.tflite: no such file" in played.output


# ---- configure.yml


def test_configuration_and_secrets_are_written_once(fleet):
    fleet.variables |= {
        "emotion_edge_config": {
            "sinks": ["mqtt:nas,topic=shops/{{ inventory_hostname }}"],
            "max_fps": 10,
            "reconnect": True,
        },
        "emotion_edge_secrets": {"mqtt-user": "joe", "mqtt-password": "a secret"},
        "emotion_edge_network": True,
    }
    played = fleet.play("configure.yml")
    assert (played.status, played.changed) == (0, fleet.names), played.output
    assert "a secret" not in played.output
    board = fleet["kiosk002"]
    text = 'sinks = ["mqtt:nas,topic=shops/kiosk002"]\nmax_fps = 10\nreconnect = true\n'
    assert board.config.read_text().endswith(text)
    secret = board.config.with_name("mqtt-password")
    assert secret.read_text() == "a secret"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    drop_ins = board.units / "emotion-edge.service.d"
    assert "LoadCredential=mqtt-user:/etc/emotion-edge/mqtt-user\n" in (drop_ins / "fleet-credentials.conf").read_text()
    assert (drop_ins / "network.conf").read_text() == "# 1"
    assert board.starts == ["1", "1"]
    played = fleet.play("configure.yml")
    assert (played.status, played.changed) == (0, []), played.output
    assert board.starts == ["1", "1"]
    assert len(list(board.config.parent.iterdir())) == 3


def files(board):
    """What a board has of what configure.yml writes."""
    folders = (board.config.parent, board.units / "emotion-edge.service.d")
    return {path.name: path.read_text() for folder in folders if folder.exists() for path in folder.iterdir()}


@pytest.mark.parametrize(("key", "restarts"), [("wrong", 0), ("unready", 2)])
@pytest.mark.parametrize("before", [{}, {"mqtt-user": "joe", "web-token": "old"}])
def test_what_does_not_work_is_taken_back_completely(fleet, key, restarts, before):
    board = fleet["kiosk001"]
    if before:
        fleet.variables |= {"emotion_edge_secrets": before}
        assert fleet.play("configure.yml").status == 0
    old, starts = files(board), {board.root: board.starts for board in fleet.boards}
    fleet.variables |= {
        "emotion_edge_config": {key: 1},
        "emotion_edge_secrets": {"web-token": "new", "mqtt-password": "new"},
        "emotion_edge_network": True,
    }
    played = fleet.play("configure.yml")
    assert (played.status, played.failed) == (2, ["kiosk001"]), played.output
    assert files(board) == old
    assert board.starts == starts[board.root] + ["1"] * restarts
    assert fleet["kiosk002"].starts == starts[fleet["kiosk002"].root]
    assert not list((board.root / "root").iterdir())


def test_relative_paths_are_those_of_the_service(fleet):
    board = fleet["kiosk001"]
    fleet.variables["emotion_edge_config"] = {"prior": "prior.toml"}
    executable(board.home / "current" / "venv" / "bin" / "edge", '#!/bin/sh\necho "in $PWD"; [ -e prior.toml ]\n')
    played = fleet.play("configure.yml", "--limit", "kiosk001")
    assert (played.status, "in /\n" in played.output) == (2, True), played.output
    state = board.root / "var" / "lib" / "emotion-edge"
    state.mkdir(parents=True)
    (state / "prior.toml").touch()
    played = fleet.play("configure.yml", "--limit", "kiosk001")
    assert (played.status, played.changed) == (0, ["kiosk001"]), played.output


def test_check_mode_asks_the_release_for_its_opinion(fleet):
    old = files(fleet["kiosk001"])
    fleet.variables["emotion_edge_config"] = {"wrong": 1}
    played = fleet.play("configure.yml", "--check")
    assert (played.status, played.failed) == (2, ["kiosk001"]), played.output
    fleet.variables |= {"emotion_edge_config": {"max_fps": 1}, "emotion_edge_secrets": {"web-token": "new"}}
    played = fleet.play("configure.yml", "--check")
    assert (played.status, played.changed) == (0, fleet.names), played.output
    assert files(fleet["kiosk001"]) == old
    assert not list((fleet["kiosk001"].root / "root").iterdir())


def test_secrets_that_the_group_has_no_more_are_removed(fleet):
    fleet.variables["emotion_edge_secrets"] = {"mqtt-user": "joe", "web-token": "token"}
    assert fleet.play("configure.yml", "--limit", "kiosk001").status == 0
    board = fleet["kiosk001"]
    own = board.config.with_name("own")
    own.write_text("not of the playbook")
    for secrets, left in (({"mqtt-user": "joe"}, ["mqtt-user"]), ({}, [])):
        fleet.variables["emotion_edge_secrets"] = secrets
        assert fleet.play("configure.yml", "--limit", "kiosk001").status == 0
        assert sorted(files(board)) == sorted(
            ["config.toml", "own", *left, *(["fleet-credentials.conf"] if left else [])]
        )


def test_a_secret_that_yaml_takes_for_a_number_is_refused(fleet):
    old = files(fleet["kiosk001"])
    fleet.variables["emotion_edge_secrets"] = {"mqtt-user": "joe", "mqtt-password": 83}
    played = fleet.play("configure.yml", "--limit", "kiosk001")
    assert (played.status, played.failed) == (2, ["kiosk001"]), played.output
    assert "put it in quotes: mqtt-password" in played.output
    assert "83" not in played.output
    assert files(fleet["kiosk001"]) == old


def test_a_service_that_does_not_run_is_started_by_a_second_run(fleet):
    fleet.variables["emotion_edge_config"] = {"max_fps": 10}
    assert fleet.play("configure.yml", "--limit", "kiosk001").status == 0
    board = fleet["kiosk001"]
    (board.root / "manager" / "runs").unlink()
    played = fleet.play("configure.yml", "--limit", "kiosk001")
    assert (played.status, played.changed) == (0, ["kiosk001"]), played.output
    assert board.starts == ["1", "1", "1"]


# ---- fetch.yml


def test_a_board_is_prepared_once_to_fetch_its_releases(fleet, tmp_path):
    (tmp_path / "signers").write_text("releases@example.org ssh-ed25519 AAAA\n")
    fleet.variables |= {
        "emotion_edge_fetch_url": "https://releases.example.org/emotion%20edge$",
        "emotion_edge_fetch_group": "shops",
        "emotion_edge_fetch_signers": str(tmp_path / "signers"),
    }
    for changed in (["kiosk001"], []):
        played = fleet.play("fetch.yml", "--limit", "kiosk001")
        assert (played.status, played.changed) == (0, changed), played.output
    unit = (fleet["kiosk001"].units / "emotion-edge-fetch.service").read_text()
    assert "emotion-edge-fetch https://releases.example.org/emotion%%20edge$$ shops\n" in unit, "systemd reads % and $"
    fleet.variables["emotion_edge_fetch_url"] = "http://releases.example.org"
    assert fleet.play("fetch.yml", "--limit", "kiosk001").status == 2


# ---- status.yml


def test_status_has_a_line_for_each_board_and_fails_for_any(fleet):
    played = fleet.play("status.yml")
    assert (played.status, played.changed) == (0, []), played.output
    assert played.output.count("14.9 fps") == 2
    fleet.variables["emotion_edge_release"] = "2"
    fleet.switch_off("kiosk002")
    played = fleet.play("status.yml")
    assert played.status == 2
    assert "(should be 2)" in played.output
    assert "kiosk002  does not answer" in played.output
