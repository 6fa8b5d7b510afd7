"""The door for the address of a network camera: `SCHEME://[USER@]HOST[:PORT]/PATH[#OPTION,OPTION...]`.

The part after `#` is never sent to a camera. Its options:

    insecure            the camera's certificate is not verified: whoever is in between can replace the images
    ca=FILE             trust only the certificates in this file (PEM), such as the camera's own
    user-file=FILE      contains the user
    password-file=FILE  contains the password

A password in the address is refused, because every user of the machine can read the command line. It comes from the
file, $EMOTION_EDGE_CAMERA_PASSWORD, or the systemd credential `camera-password`. So does the user, who may also stand
in the address. Where a camera takes them in the path or the query, `{user}` and `{password}` there stand for them.
Messages never contain the user and the query.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from edge.config import sink_options
from edge.config.secrets import load_line
from edge.errors import SettingsError, UsageError
from edge.system.paths import expand_path

PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}  # registered with IANA
VARIABLE_PREFIX = "EMOTION_EDGE_CAMERA_"  # followed by USER or PASSWORD
CREDENTIAL_PREFIX = "camera-"  # followed by user or password
MAX_URL_CHARACTERS = 2000
MAX_SECRET_BYTES = 1000  # of a user or a password
OPTION_TYPES: dict[str, Any] = {
    "insecure": bool,
    "ca": expand_path,
    "user-file": expand_path,
    "password-file": expand_path,
}
LOGIN_ADVICE = (
    f"asks for a user and a password, or refuses them; they come from ${VARIABLE_PREFIX}USER and "
    f"${VARIABLE_PREFIX}PASSWORD, or #user-file=FILE,password-file=FILE"
)
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+(%[A-Za-z0-9._-]+)?")  # a name, an IPv4 or an IPv6 address
_KEY = r"\w*(?:pass|pwd|psw|secret|token|auth)\w*|\w*pas|pw|(?:api|access)?[_-]?key"  # of a secret
_SECRET_KEY = re.compile(_KEY, re.IGNORECASE)
# Of cameras that take a login in the path: `/user=NAME_password=TEXT_channel=1.sdp`, `/NAME:PASSWORD@...`.
_SECRET_IN_PATH = re.compile(rf"(?:{_KEY})=(?!\{{(?:user|password)\}})[^/&;]|[^/]:[^/]*@", re.IGNORECASE)
_PLACEHOLDERS = ("{user}", "{password}")


class Login(NamedTuple):
    """User and password of a camera; None: there is none."""

    user: str | None = None
    password: str | None = None


@dataclass(frozen=True, slots=True)
class StreamUrl:
    """The address of a network camera, without a password."""

    scheme: str
    host: str
    port: int
    target: str  # path and query
    user: str | None = None
    insecure: bool = False
    ca: Path | None = None  # PEM; None: the system's
    user_file: Path | None = None
    password_file: Path | None = None

    @property
    def address(self) -> str:
        """HOST:PORT, with an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def uses_tls(self) -> bool:
        return self.scheme in ("rtsps", "https")

    def __str__(self) -> str:
        """The address for messages, without user and query."""
        return f"{self.scheme}://{self.address}{self.target.partition('?')[0]}"

    def load_login(self, environment: Mapping[str, str] = os.environ) -> Login:
        """Return user and password: from the files, else the environment, else systemd.

        Raises SettingsError if a file cannot be read, or if there is a password without a user.
        """
        user, password = (
            load_line(
                "camera", path, VARIABLE_PREFIX + name.upper(), CREDENTIAL_PREFIX + name, MAX_SECRET_BYTES, environment
            )
            for name, path in (("user", self.user_file), ("password", self.password_file))
        )
        user = user if self.user is None or self.user_file else self.user
        if password is not None and user is None and "{password}" not in self.target:
            raise SettingsError(
                f"camera: a password without a user found, expected {self.scheme}://USER@{self.address}, "
                f"#user-file=FILE or ${VARIABLE_PREFIX}USER"
            )
        return Login(user, password)

    def target_for(self, login: Login) -> str:
        """Return path and query with `login` in place of the placeholders. Raises SettingsError if one is missing."""
        target = self.target
        for placeholder, value in zip(_PLACEHOLDERS, login, strict=True):
            if placeholder in target and value is None:
                name = placeholder.strip("{}")
                raise SettingsError(
                    f"camera: the address has {placeholder}, but there is no {name}; set "
                    f"${VARIABLE_PREFIX}{name.upper()} or #{name}-file=FILE"
                )
            target = target.replace(placeholder, quote(value or "", safe=""))
        return target

    def make_tls_context(self) -> ssl.SSLContext | None:
        """Return a context that verifies certificate and host name, unless `insecure` is set; None without TLS.

        Raises SettingsError if the file of certificates cannot be used.
        """
        if not self.uses_tls:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except OSError as error:
            reason = getattr(error, "reason", None) or error.strerror
            raise SettingsError(
                f"camera: ca={self.ca}: cannot be used ({reason}), expected certificates in PEM"
            ) from error
        if self.insecure:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context


def is_address(text: str) -> bool:
    """Return whether `text` has the form of an address, of whatever scheme; `file:` is a camera of that name.

    A space before it does not make it a file: that would be named in messages, with the password.
    """
    return bool(re.match(r"\s*(?!file:)[A-Za-z][A-Za-z0-9+.-]*://", text))


def parse(text: str) -> StreamUrl:
    """Return the address in `text`. Raises UsageError, which does not repeat it, as it may contain a password."""
    if len(text) > MAX_URL_CHARACTERS or not re.fullmatch(r"[\x21-\x7e]+", text):
        raise UsageError(
            f"the address of the camera is too long or has characters that a URL must not have, expected at most "
            f"{MAX_URL_CHARACTERS} printable ASCII characters; others are percent-encoded"
        )
    if text.partition("://")[0].lower() not in PORTS:
        raise UsageError(f"no camera has such an address; the schemes are {', '.join(PORTS)}")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise UsageError(f"the address of the camera is no URL, expected {_example(text)}") from None
    host = parts.hostname or ""
    query = parse_qsl(parts.query)
    secrets = [value for key, value in query if _SECRET_KEY.fullmatch(key) and value not in _PLACEHOLDERS]
    if parts.password is not None or secrets or _SECRET_IN_PATH.search(unquote(parts.path)):
        raise UsageError(
            "the address of the camera contains a password, which every user of this machine can read; expected it in "
            f"the file of #password-file=FILE, in ${VARIABLE_PREFIX}PASSWORD or in the systemd credential "
            f"{CREDENTIAL_PREFIX}password; in a path or a query, write {{password}} in its place"
        )
    if not _HOST.fullmatch(host) or port == 0:
        raise UsageError(f"the address of the camera has no valid host or port, expected {_example(text)}")
    first, options = sink_options.parse(parts.scheme, parts.fragment, OPTION_TYPES, kind="camera")
    if first:
        raise UsageError(f"camera {parts.scheme}: unknown option after '#'; options are {', '.join(OPTION_TYPES)}")
    if parts.scheme in ("rtsp", "http") and {"insecure", "ca"} & options.keys():
        raise UsageError(
            f"camera {parts.scheme}: insecure and ca are for {parts.scheme}s: there is no certificate here"
        )
    if "insecure" in options and "ca" in options:
        raise UsageError(f"camera {parts.scheme}: both ca and insecure are set, expected one of them")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    user = unquote(parts.username) if parts.username else None
    fields = {name.replace("-", "_"): value for name, value in options.items()}
    return StreamUrl(parts.scheme, host, port or PORTS[parts.scheme], target, user, **fields)


def _example(text: str) -> str:
    return f"{text.partition('://')[0].lower()}://HOST:PORT/PATH"
