"""The playbooks with the settings of ansible.cfg, through a real ssh."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.support.board import executable

pytestmark = [pytest.mark.scripts, pytest.mark.slow, pytest.mark.timeout(900)]

# The login sets what a board that is a folder needs, after the shell's own settings.
CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
PidFile none
AuthorizedKeysFile {folder}/user.pub
StrictModes no
UsePAM no
PasswordAuthentication no
ForceCommand {folder}/login
"""


@pytest.fixture
def fleet(make_fleet, tmp_path):
    """One board behind sshd."""
    server = shutil.which("sshd", path="/usr/sbin:/usr/bin")
    if server is None or os.geteuid() != 0:
        pytest.skip("needs root, and a server of ssh: 'sudo apt install openssh-server'")
    fleet = make_fleet(1)
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / key], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    board = fleet["kiosk001"]
    executable(
        tmp_path / "login",
        f'#!/bin/sh\nexport EMOTION_EDGE_ROOT="{board.root}" PATH="{board.tools}:$PATH"\n'
        'exec sh -c "$SSH_ORIGINAL_COMMAND"\n',
    )
    (tmp_path / "sshd").write_text(CONFIG.format(port=port, folder=tmp_path))
    fleet.variables |= {
        "ansible_connection": "ssh",
        "ansible_host": "127.0.0.1",
        "ansible_port": port,
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(tmp_path / "user"),
        "ansible_ssh_common_args": "-F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null",
        "ansible_ssh_transfer_method": "piped",  # the login has no sftp
        "ansible_ssh_args": "-o ControlMaster=no",  # a connection that stays would keep the server
    }
    Path("/run/sshd").mkdir(exist_ok=True)
    command = [server, "-D", "-e", "-f", tmp_path / "sshd"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        while "Server listening" not in (line := process.stderr.readline()):
            assert line, "sshd did not start"
        yield fleet
        process.terminate()
        process.stderr.read()


def test_a_release_is_deployed_over_a_real_ssh(fleet):
    fleet.make_bundle("1")
    fleet.variables["emotion_edge_release"] = "1"
    for changed in (["kiosk001"], []):
        played = fleet.play("deploy.yml")
        assert (played.status, played.changed) == (0, changed), played.output
        assert fleet.running == ["1"]


def test_a_board_that_refuses_the_connection_is_listed(fleet):
    fleet.variables |= {"emotion_edge_release": "1", "ansible_port": 1}
    played = fleet.play("deploy.yml")
    assert (played.status, played.changed) == (2, []), played.output
    assert "no board answered" in played.output
    assert fleet.retry_list.read_text() == "kiosk001\n"
