"""Ansible's connection to a folder used as a board, which does not answer while the folder has the file `off`."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import local

DOCUMENTATION = """
    name: board
    short_description: execute in a folder that is used as a board
    description: As the connection local; unreachable while the board is off.
    extends_documentation_fragment: [connection_pipelining]
    options:
      root:
        description: The board's folder.
        vars: [{name: emotion_edge_root}]
      become_success_timeout:
        description: As in the connection local.
        type: int
        default: 10
      become_strip_preamble:
        description: As in the connection local.
        type: bool
        default: true
"""


class Connection(local.Connection):
    """A connection that is lost when the board goes off, also in the middle of a command."""

    transport = "board"

    def _check_on(self) -> None:
        if Path(self.get_option("root"), "off").exists():
            raise AnsibleConnectionFailure("connect to host: No route to host")

    def exec_command(self, cmd: str, **more: Any) -> Any:
        self._check_on()
        result = super().exec_command(f"export EMOTION_EDGE_ROOT={quote(self.get_option('root'))}; {cmd}", **more)
        self._check_on()
        return result

    def put_file(self, *arguments: Any) -> Any:
        self._check_on()
        return super().put_file(*arguments)
