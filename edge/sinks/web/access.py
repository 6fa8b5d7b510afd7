"""Who may see the page: a token, a cookie that stands for it, the name that the page was called by, and rates."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import os
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from edge.config import secrets as secret
from edge.errors import SettingsError

ENVIRONMENT, CREDENTIAL = "EMOTION_EDGE_WEB_TOKEN", "web-token"
SHORTEST = 16  # characters of a token: at 5 guesses a minute nobody finds it
MANY = "a token of 16 characters or more; 'openssl rand -hex 16' makes one"
SESSION_SECONDS = 30 * 86400
ADDRESSES = 1000  # that rates are kept of; the longest known one is forgotten for the next


def find_token(path: Path | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the token of the file at `path`, or else of the environment, or of systemd's credential; None: of none.

    Raises SettingsError where it cannot be read, or would be guessed.
    """
    found = secret.find("web", path, ENVIRONMENT, CREDENTIAL, environment)
    if found is None:
        return None
    token = found.text.strip()
    if len(token) < SHORTEST or not token.isascii() or not token.isprintable() or " " in token:
        raise SettingsError(f"web: {found.where}: holds {len(token)} characters, expected {MANY}, without blanks")
    return token


class Access:
    """Decides who is let in.

    Args:
        token: that a visitor must know; None: everybody is let in who calls the page by a name of this device.
        names: by which it may be called, besides its own name and any literal address.
        clock: seconds since 1970; another than time's in tests.
    """

    def __init__(self, token: str | None, names: Collection[str] = (), clock: Callable[[], float] = time.time) -> None:
        self._token, self._clock = token, clock
        own = os.uname().nodename.lower()
        self._names = {"localhost", own, f"{own}.local", *(name.lower() for name in names)}

    @property
    def is_open(self) -> bool:
        """Whether no token is needed."""
        return self._token is None

    def knows_name(self, host: str) -> bool:
        """Return whether the request's header Host is none that somebody else's page could have made up.

        A page from outside that has its own name point to this device (DNS rebinding) could read ours as its own. Such
        a name is neither a literal address nor one of ours; with a token it learns nothing, as the cookie is not sent.
        """
        if self._token is not None:
            return True
        name = _name(host)
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self._names
        return True

    def fits(self, token: str) -> bool:
        """Return whether `token` is ours; how long that takes tells nothing."""
        return self._token is None or hmac.compare_digest(token.encode(), self._token.encode())

    def new_session(self) -> str:
        """Return the value of a cookie that stands for the token until SESSION_SECONDS have passed."""
        ends = str(int(self._clock()) + SESSION_SECONDS)
        return f"{ends}.{self._signature(ends)}"

    def is_session(self, cookie: str) -> bool:
        """Return whether `cookie` was made here with the token as it is now, and holds still."""
        ends, _, signature = cookie.partition(".")
        genuine = hmac.compare_digest(signature.encode(), self._signature(ends).encode())
        return genuine and self._clock() < int(ends)

    def _signature(self, ends: str) -> str:
        assert self._token is not None
        digest = hmac.new(self._token.encode(), f"session until {ends}".encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


class Rate:
    """At most `most` of something in `seconds`, for each address.

    Args:
        clock: in seconds; another than time's in tests.
    """

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._times: dict[str, deque[float]] = {}

    def wait(self, address: str) -> float:
        """Return the seconds until one more is allowed, 0: now."""
        times = self._times.get(address, deque())
        return max(0.0, times[0] + self._seconds - self._clock()) if len(times) == self._most else 0.0

    def count(self, address: str) -> None:
        """Take note of one."""
        times = self._times.pop(address, None) or deque(maxlen=self._most)
        times.append(self._clock())
        self._times[address] = times
        if len(self._times) > ADDRESSES:
            del self._times[next(iter(self._times))]


def _name(host: str) -> str:
    """Return the header Host without its port, and an IPv6 address without its brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower().rstrip(".")
