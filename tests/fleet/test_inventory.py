"""The playbooks refuse an inventory that does not fit, and say where."""

import json
import os
import shutil
import subprocess

import pytest

from tests.support.fleet import PLAYBOOKS, ansible

pytestmark = [pytest.mark.scripts, pytest.mark.slow]


@pytest.fixture
def play(tmp_path):
    """Run a playbook with an inventory, or with a file of text: play("status.yml", {"kiosk1": {}})."""
    if ansible("ansible-playbook") is None:
        pytest.skip("ansible-core is not installed: 'pip install --group fleet'")

    def played(playbook, inventory):
        file = tmp_path / "hosts.yml"
        text = inventory if isinstance(inventory, str) else json.dumps({"emotion_edge": {"hosts": inventory}})
        if text:
            file.write_text(text)
        command = [
            ansible("ansible-playbook"),
            "-i",
            file,
            PLAYBOOKS / playbook,
            "-e",
            f"emotion_edge_monitoring={tmp_path}",
        ]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(PLAYBOOKS / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        return result.returncode, result.stdout + result.stderr

    return played


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "parse inventory source"),
        ("emotion_edge:\n  hosts:\n    kiosk1:\n   kiosk2:\n", "parse inventory source"),
        ("emotion_edge: {hosts: {}}", "no board in the group emotion_edge of "),
    ],
)
def test_an_inventory_without_boards_is_an_error(play, text, words):
    status, output = play("status.yml", text)
    assert status != 0
    assert words in output


def test_targets_have_the_labels_of_the_inventory(play, tmp_path):
    boards = {"kiosk1": {"emotion_edge_site": "12", "emotion_edge_release": "1.10", "ansible_host": "fe80::1"}}
    status, output = play("monitoring.yml", boards)
    assert status == 0, output
    assert json.loads((tmp_path / "targets" / "boards.json").read_text()) == [
        {"labels": {"instance": "kiosk1", "release": "1.10", "site": "12"}, "targets": ["[fe80::1]:8080"]}
    ]


def test_what_yaml_takes_for_no_text_is_named(play, tmp_path):
    boards = {
        "truth": "emotion_edge_site: no",
        "octal": "emotion_edge_site: 007",
        "minutes": "emotion_edge_site: 12:30",
        "nothing": "emotion_edge_site:",
        "release": "emotion_edge_release: 1.10",
        "user": "emotion_edge_secrets: {mqtt-user: on, mqtt-password: x}",
        "password": "emotion_edge_secrets: {mqtt-user: b, mqtt-password: 0123}",
        "good": "emotion_edge_site: 1e3",
    }
    lines = [f"    {name}:\n      {variable}\n" for name, variable in boards.items()]
    status, output = play("monitoring.yml", f"emotion_edge:\n  hosts:\n{''.join(lines)}")
    assert status == 2
    for line in (
        "truth: emotion_edge_site is False (bool) for YAML; put it in quotes",
        "octal: emotion_edge_site is 7 (int) for YAML; put it in quotes",
        "minutes: emotion_edge_site is 750 (int) for YAML; put it in quotes",
        "nothing: emotion_edge_site is empty or has one of",
        "release: emotion_edge_release is 1.1 (float) for YAML; put it in quotes",
        "user: mqtt-user is True (bool) for YAML; put it in quotes",
        "password: mqtt-password is no text for YAML (int); put it in quotes",
    ):
        assert line in output
    assert "good: " not in output
    assert "83" not in output.partition("password: ")[2].partition("put it in quotes")[0], "0123 is 83 in octal"
    assert not (tmp_path / "targets" / "boards.json").exists()


def test_boards_by_mqtt_are_expected_by_their_topics(play, tmp_path):
    sinks = ["console", "mqtt:broker.example.org,tls,topic=emotion-edge/shop/{{ inventory_hostname }}"]
    by_mqtt = {"emotion_edge_scrape": False, "emotion_edge_site": "other", "emotion_edge_config": {"sinks": sinks}}
    boards = {
        "kiosk_1": by_mqtt,
        "scraped": {**by_mqtt, "emotion_edge_scrape": True},
        "unknown": {"emotion_edge_scrape": False},
        "elsewhere": {"emotion_edge_scrape": False, "emotion_edge_config": {"sinks": ["mqtt:nas.local,topic=home/a"]}},
    }
    status, output = play("monitoring.yml", boards)
    assert status == 0, output
    (group,) = json.loads((tmp_path / "rules" / "inventory.yml").read_text())["groups"]
    rule = {"record": "emotion_edge:board:expected", "expr": "vector(1)"}
    assert group["rules"] == [{**rule, "labels": {"site": "shop", "instance": "kiosk_1"}}]
    if shutil.which("promtool"):
        for _ in range(2):
            command = ["promtool", "check", "rules", tmp_path / "rules" / "inventory.yml"]
            assert subprocess.run(command, capture_output=True, check=False).returncode == 0
            assert play("monitoring.yml", {"none": {}})[0] == 0


def test_users_that_the_broker_would_not_know_are_named(play, tmp_path):
    missing = "{{ vault_mqtt_passwords[inventory_hostname] }}"
    secrets = {
        "colon": {"mqtt-user": "colon", "mqtt-password": "a:b"},
        "empty": {"mqtt-user": "empty", "mqtt-password": ""},
        "break": {"mqtt-user": "break", "mqtt-password": "a\nb"},
        "topic": {"mqtt-user": "to/pic", "mqtt-password": "secret"},
        "vault": {"mqtt-user": "vault", "mqtt-password": missing},
        "alone": {"mqtt-user": "alone"},
        "good": {"mqtt-user": "good", "mqtt-password": "secret"},
    }
    boards = {name: {"emotion_edge_secrets": secret} for name, secret in secrets.items()}
    status, output = play("monitoring.yml", {**boards, "site": {"emotion_edge_site": "a+b"}, "none": {}})
    assert status == 2
    assert all(f"{name}: " in output for name in [*set(secrets) - {"good"}, "site"])
    assert not any(word in output for word in ("good: ", "none: ", "a:b", "secret'"))
    assert not (tmp_path / "emotion-edge.passwd").exists()
