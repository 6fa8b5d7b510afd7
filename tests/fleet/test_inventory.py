"""The playbooks refuse an inventory that does not fit, and say where."""

import json
import os
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


def test_labels_of_prometheus_are_text(play, tmp_path):
    boards = {
        "kiosk1": {"emotion_edge_site": 12, "emotion_edge_release": 1.5, "ansible_host": "fe80::1"},
        "kiosk2": {"emotion_edge_site": False},
    }
    status, output = play("monitoring.yml", boards)
    assert status == 0, output
    assert json.loads((tmp_path / "targets" / "boards.json").read_text()) == [
        {"labels": {"instance": "kiosk1", "release": "1.5", "site": "12"}, "targets": ["[fe80::1]:8080"]},
        {"labels": {"instance": "kiosk2", "site": "False"}, "targets": ["kiosk2:8080"]},
    ]


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
