"""User, password and certificates: read from files, the environment or systemd's credentials.

They are read anew for each connection, so that a changed password holds without a restart, and nothing keeps them.
"""

from __future__ import annotations

import os
import ssl
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from edge.config.secrets import load_secret
from edge.errors import SettingsError
from edge.sinks.mqtt.options import Options

VARIABLE = "EMOTION_EDGE_MQTT_"  # and USER or PASSWORD
CREDENTIAL = "mqtt-"  # and user or password
MOST_BYTES = 65535  # of a user or password: MQTT's limit


class Login(NamedTuple):
    user: str | None = None
    password: str | None = None


def login(options: Options, environment: Mapping[str, str] = os.environ) -> Login:
    """Return user and password: of the files that `options` name, else of the environment, else of systemd.

    Raises SettingsError naming a file that cannot be read, or a password without a user.
    """
    user = _secret("user", options.user_file, environment)
    password = _secret("password", options.password_file, environment)
    if password is not None and user is None:
        raise SettingsError("mqtt: a password but no user was found, expected user-file=FILE or its variable beside it")
    return Login(user, password)


def warnings(options: Options, login: Login) -> list[str]:
    """Return what is unwise about the secrets, in words for people."""
    said = []
    path = options.password_file
    with suppress(OSError):
        if path and path.stat().st_mode & stat.S_IROTH:
            said.append(f"{path}: every user of this machine may read the password; 'chmod o-r {path}'")
    if login.password is not None and not options.tls and not options.stays_here:
        said.append(
            f"the password goes to {options.address} unencrypted; 'tls' encrypts it, with ca=FILE for an own CA"
        )
    return said


def tls_context(options: Options) -> ssl.SSLContext | None:
    """Return what checks the broker's certificate and its name, None without TLS.

    Raises SettingsError naming a file that cannot be used.
    """
    if not options.tls:
        return None
    context = ssl.create_default_context()
    if options.ca:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks both; trusts this CA alone, not the system's
        try:
            context.load_verify_locations(options.ca)
        except OSError as error:
            raise SettingsError(f"mqtt: ca={options.ca}: {_why(error)}, expected a CA's certificate in PEM") from error
    if options.cert:
        try:
            # With a password at hand OpenSSL asks nobody for one: there may be no terminal.
            context.load_cert_chain(options.cert, options.key, password="")
        except OSError as error:
            raise SettingsError(
                f"mqtt: cert={options.cert}, key={options.key or 'in cert'}: {_why(error)}, expected a certificate "
                "and its key in PEM, the key without a password"
            ) from error
    return context


def _secret(name: str, path: Path | None, environment: Mapping[str, str]) -> str | None:
    found = load_secret("mqtt", path, VARIABLE + name.upper(), CREDENTIAL + name, environment)
    if found is None:
        return None
    text = found.text.removesuffix("\n").removesuffix("\r")
    if not text or "\n" in text or len(text.encode()) > MOST_BYTES:
        raise SettingsError(f"mqtt: {found.origin}: expected one line that is not empty")
    return text


def _why(error: Exception) -> str:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None)
    return str(reason or error)
