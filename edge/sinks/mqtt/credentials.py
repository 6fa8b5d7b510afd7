"""User, password and certificates, from files, the environment, or systemd's credentials.

They are read for each connection, so that a changed password needs no restart, and are not kept.
"""

from __future__ import annotations

import os
import ssl
import stat
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from edge.config.secrets import load_line
from edge.errors import SettingsError
from edge.sinks.mqtt.options import MqttOptions

VARIABLE_PREFIX = "EMOTION_EDGE_MQTT_"  # followed by USER or PASSWORD
CREDENTIAL_PREFIX = "mqtt-"  # followed by user or password
MAX_BYTES = 65535  # of a user or a password: MQTT's limit


class Login(NamedTuple):
    """User and password of a broker; None: there is none."""

    user: str | None = None
    password: str | None = None


def load_login(options: MqttOptions, environment: Mapping[str, str] = os.environ) -> Login:
    """Return user and password: from the files in `options`, else the environment, else systemd.

    Raises SettingsError if a file cannot be read, or if there is a password without a user.
    """
    user = _load_line("user", options.user_file, environment)
    password = _load_line("password", options.password_file, environment)
    if password is not None and user is None:
        raise SettingsError("mqtt: password without a user found, expected user-file=FILE or its variable as well")
    return Login(user, password)


def find_risks(options: MqttOptions, login: Login) -> list[str]:
    """Return a warning for each way in which others may read the password."""
    warnings = []
    path = options.password_file
    with suppress(OSError):
        if sys.platform != "win32" and path and path.stat().st_mode & stat.S_IROTH:
            warnings.append(f"{path}: every user of this machine can read the password; 'chmod o-r {path}'")
    if login.password is not None and not options.tls and not options.is_local:
        warnings.append(
            f"the password is sent to {options.address} unencrypted; 'tls' encrypts it, with ca=FILE for a private CA"
        )
    return warnings


def make_tls_context(options: MqttOptions) -> ssl.SSLContext | None:
    """Return a context that verifies the broker's certificate and host name; None without TLS.

    Raises SettingsError if a file cannot be used.
    """
    if not options.tls:
        return None
    context = ssl.create_default_context()
    if options.ca:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies both, and trusts this CA only
        try:
            context.load_verify_locations(options.ca)
        except OSError as error:
            raise SettingsError(f"mqtt: ca={options.ca}: {_reason(error)}, expected a CA certificate in PEM") from error
    if options.cert:
        try:
            # The empty password keeps OpenSSL from prompting for one: there may be no terminal.
            context.load_cert_chain(options.cert, options.key, password="")
        except OSError as error:
            raise SettingsError(
                f"mqtt: cert={options.cert}, key={options.key or 'in cert'}: {_reason(error)}, expected a certificate "
                "and its key in PEM, the key without a password"
            ) from error
    return context


def _load_line(name: str, path: Path | None, environment: Mapping[str, str]) -> str | None:
    return load_line("mqtt", path, VARIABLE_PREFIX + name.upper(), CREDENTIAL_PREFIX + name, MAX_BYTES, environment)


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or getattr(error, "strerror", None) or error)
