"""Authentication: the token, the sessions of browsers, and the host names that a request may use."""

from __future__ import annotations

import hmac
import ipaddress
import os
import secrets
import socket
from collections.abc import Collection, Mapping
from pathlib import Path

from edge.config.secrets import load_secret
from edge.errors import SettingsError
from edge.sinks.web.rate_limiter import RateLimiter

TOKEN_VARIABLE, TOKEN_CREDENTIAL = "EMOTION_EDGE_WEB_TOKEN", "web-token"
MIN_TOKEN_CHARACTERS = 16  # not guessed at MAX_FAILED_LOGINS a minute
SESSION_DAYS = 30
MAX_FAILED_LOGINS, FAILED_LOGIN_SECONDS = 5, 60.0  # of one address


def load_token(path: Path | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the token from the file at `path`, else the environment, else systemd's credential; None: there is none.

    Raises SettingsError if it cannot be read, or is too short or malformed.
    """
    secret = load_secret("web", path, TOKEN_VARIABLE, TOKEN_CREDENTIAL, environment)
    if secret is None:
        return None
    token = secret.text.strip()
    if len(token) < MIN_TOKEN_CHARACTERS or not token.isascii() or not token.isprintable() or " " in token:
        raise SettingsError(
            f"web: {secret.origin}: a token of {len(token)} characters, expected {MIN_TOKEN_CHARACTERS} or more, "
            "ASCII, without spaces; 'openssl rand -hex 16' makes one"
        )
    return token


class Authenticator:
    """Checks tokens, sessions and host names.

    A session is a cookie that Tornado signs with `cookie_secret`. Its value is the generation of all sessions, a
    number that a logout increments: every cookie issued before is then invalid, also a copied one. Secret and
    generation are in memory only, so a restart of the server ends all sessions as well.

    Args:
        token: None: no authentication; a request must then use a host name of this device.
        host_names: accepted besides localhost, the device's own name and literal addresses.
    """

    def __init__(self, token: str | None, host_names: Collection[str] = ()) -> None:
        self._token = token
        self._generation = 0
        self.cookie_secret = secrets.token_bytes(32)
        self.failed_logins = RateLimiter(MAX_FAILED_LOGINS, FAILED_LOGIN_SECONDS)
        device_name = socket.gethostname().lower()
        self._host_names = {"localhost", device_name, f"{device_name}.local", *(name.lower() for name in host_names)}

    @property
    def required(self) -> bool:
        """Whether a client has to authenticate."""
        return self._token is not None

    @property
    def session(self) -> str:
        """The value of a valid session cookie, before it is signed."""
        return str(self._generation)

    def revoke_sessions(self) -> None:
        """Make all session cookies invalid that were issued so far."""
        self._generation += 1

    def accepts_token(self, token: str) -> bool:
        """Return whether `token` is the right one, in constant time."""
        return self._token is None or hmac.compare_digest(token.encode(), self._token.encode())

    def accepts_host(self, host: str) -> bool:
        """Return whether the request header Host is safe against DNS rebinding.

        A website could let its own name resolve to this device and read our page in the visitor's browser. Such a name
        is neither a literal address nor a name of this device. With a token the attack fails by itself: the browser
        does not send our cookie to that name.
        """
        if self.required:
            return True
        name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0].lower().rstrip(".")
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self._host_names
        return True
