"""A real PostgreSQL for tests and benchmarks: a cluster in a temporary folder, reached by a socket in it."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import pytest

from tests.support.paths import ROOT

HISTORY = ROOT / "fleet" / "history"
DATABASE = "emotion_edge"
SYSTEM_USER = "postgres"  # that Debian's package makes: PostgreSQL does not run as root


def _find_programs() -> Path | None:
    """Return the folder of initdb and postgres of the newest version, None if there is none."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    on_path = shutil.which("initdb")
    return versions[-1] if versions else Path(on_path).parent if on_path else None


PROGRAMS = _find_programs()
needs_postgres = pytest.mark.skipif(
    PROGRAMS is None or shutil.which("psql") is None,
    reason="PostgreSQL is not installed: 'sudo apt install postgresql'",
)


class Postgres:
    """PostgreSQL with the tables of fleet/history. A context manager that leaves nothing behind.

    Args:
        settings: of postgresql.conf, in place of its defaults.
    """

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self._settings = {"listen_addresses": "", "log_statement": "none", **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._user = SYSTEM_USER if os.geteuid() == 0 else None
        self._name = SYSTEM_USER if self._user else pwd.getpwuid(os.geteuid()).pw_name

    def __enter__(self) -> Self:
        assert PROGRAMS
        # Not below pytest's folder, which is root's alone.
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        if self._user:
            shutil.chown(self.folder, self._user)
        initdb = [str(PROGRAMS / "initdb"), "--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "-D", "data"]
        subprocess.run(initdb, cwd=self.folder, user=self._user, check=True, stdout=subprocess.DEVNULL)
        self.start()
        self.run("CREATE DATABASE emotion_edge", database="postgres")
        self.run_file(HISTORY / "schema.sql", "-1")
        self.run_file(HISTORY / "maintain.sql")
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self.folder)

    @property
    def environment(self) -> dict[str, str]:
        """The variables of libpq that lead to it, as its owner."""
        return {"PGHOST": str(self.folder), "PGDATABASE": DATABASE, "PGUSER": self._name}

    def start(self) -> None:
        assert PROGRAMS
        options = [option for name, value in self._settings.items() for option in ("-c", f"{name}={value}")]
        command = [str(PROGRAMS / "postgres"), "-D", "data", "-k", str(self.folder), *options]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self.folder, user=self._user, stderr=log, stdout=log)
        ready = [str(PROGRAMS / "pg_isready"), "--host", str(self.folder), "--timeout=60", "--quiet"]
        while subprocess.run(ready, check=False).returncode:
            assert self._process.poll() is None, (self.folder / "log").read_text()

    def stop(self) -> None:
        """Cut all connections and end it, as a restart for an update does."""
        assert self._process
        self._process.send_signal(signal.SIGINT)
        self._process.wait()

    def kill(self) -> None:
        """End all of its processes at once, as a power failure does."""
        assert self._process
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait()

    def run(self, sql: str, *options: str, database: str = DATABASE, user: str = "") -> list[list[str]]:
        """Return the rows of `sql` as texts."""
        return self._psql("-", *options, sql=sql, database=database, user=user)

    def run_file(self, path: Path, *options: str, user: str = "") -> list[list[str]]:
        """Return the rows of the file `path` as texts."""
        return self._psql(str(path), *options, database=DATABASE, user=user)

    def _psql(self, path: str, *options: str, database: str, user: str, sql: str = "") -> list[list[str]]:
        variables = self.environment | {"PGDATABASE": database} | ({"PGUSER": user} if user else {})
        command = ["psql", "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-f", path, *options]
        result = subprocess.run(
            command, input=sql, env={**os.environ, **variables}, capture_output=True, text=True, check=False
        )
        if result.returncode:
            raise PostgresError(result.stderr)
        return [line.split("\t") for line in result.stdout.splitlines()]


class PostgresError(Exception):
    """What psql has written."""
