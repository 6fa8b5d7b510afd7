"""Removes what identifies a person, a place or a device from a text that its user will send to others.

Two defenses, each by itself enough for most texts: patterns, for what has a form (addresses, paths, secrets beside
their key, serial numbers), and the names and secrets that this machine knows. Where the two are in doubt, the text
loses more than it had to.
"""

from __future__ import annotations

import getpass
import ipaddress
import os
import re
import socket
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from edge.config.image_formats import READ_IMAGE_SUFFIXES, VIDEO_SUFFIXES

FIRST_USER_ID = 1000  # of people; below are the system's own users: Debian Policy 9.2.2
MIN_NAME_CHARACTERS = 2  # shorter ones would replace half of the text
PUBLIC_NAMES = {"localhost", "localdomain", "root", "nobody", "emotion-edge", "edge", "(none)"}
SECRET_VARIABLES = re.compile(r"EMOTION_EDGE_\w*(USER|PASSWORD|TOKEN)")
PACKAGE_FOLDER = Path(__file__).parents[2]
# Paths that every machine has, and those that the installer makes.
PUBLIC_PATHS = (
    *("/api/", "/healthz", "/metrics"),  # of the web server
    *("/dev/", "/proc/", "/sys/", "/usr/", "/lib/", "/bin/", "/boot/", "/run/systemd/"),
    *("/etc/emotion-edge", "/opt/emotion-edge", "/var/lib/emotion-edge", "/etc/systemd/"),
)
_OTHER_SUFFIXES = ("csv", "jsonl?", "keras", "onnx", "pdf", "py", "svg", "tflite", "toml", "txt", "xml", "zip")
FILE_SUFFIXES = "|".join((*(each[1:] for each in (*READ_IMAGE_SUFFIXES, *VIDEO_SUFFIXES)), *_OTHER_SUFFIXES))

_HEADER = r"(?:proxy-)?authorization|(?:set-)?cookie"  # of HTTP
_SECRET_KEY = r"[\w-]*(?:passw\w*|pwd|passphrase|token|secret|credential|api[_-]?key|login|user)[\w-]*"  # noqa: S105
_IS = r"[\"']?\s*(?:=|:\s*[\"']|:(?=\S)|:(?=\s*\S+$))"  # between key and value; not ": " and a sentence
# What is behind a secret's key, or an address with a login or a query, is left out to the end of the line: a password
# may have any character. The program's own messages about cameras and brokers have neither.
_SECRETS = [
    (re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]*)://(?:.*[@?].*|\S*)"), r"\1://[address]"),
    (re.compile(rf"\b({_HEADER})[\"']?\s*[:=].*", re.IGNORECASE), r"\1=[secret]"),
    (re.compile(r"\b(bearer|basic)\s+\S+", re.IGNORECASE), r"\1 [secret]"),
    (re.compile(rf"\b({_SECRET_KEY}){_IS}.*", re.IGNORECASE), r"\1=[secret]"),
    (re.compile(r"'.*'( is not valid TOML)"), r"'[line]'\1"),
]
_PRIVATE = [
    (re.compile(r"\S*:\S*@\S+|\b[\w.+-]+@\S+"), "[address]"),
    (re.compile(r"\b[\w-]+(?:\.[\w-]+)*\.(?:local|lan|home|internal|intranet|corp|box)\b", re.IGNORECASE), "[address]"),
    (re.compile(r"(/dev/\S*by-(?:id|uuid|path|label)/)[^\s:,;\"')]+"), r"\1[id]"),
    (re.compile(r"\b(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}\b"), "[address]"),
    (re.compile(r"\b[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\b"), "[id]"),
    (re.compile(r"\b(?=[A-Za-z]*\d)[0-9A-Fa-f]{12,}\b"), "[id]"),
    (re.compile(r"(?<![\w/.-])(?=[\w+/=]*\d)(?=[\w+/=]*[A-Za-z])[\w+/=]{20,}(?![\w.-])"), "[id]"),
]
# A name may have spaces, and folders before it. Of a file of the package, of Python or of the system the name stays.
_FOLDERS = r"(?:[^\s\"'/\\:=,()\[\]](?:[^\"'/\\:=,()\[\]]*[^\s\"'/\\:=,()\[\]])?[/\\]+)*"
_FILE = re.compile(
    rf"(?<![\w.\]/\\-])(?!;){_FOLDERS}[^\s\"'/\\:=,()\[\]][^\"'/\\:=,()\[\]]*(?<!\s)\.({FILE_SUFFIXES})\b",
    re.IGNORECASE,
)
_FILE_IN_FOLDER = re.compile(
    rf"(?<=[/\\])(?!haarcascade_)[^\s\"'/\\:=,()\[\]]+\.(?!py\b|toml\b)({FILE_SUFFIXES})\b", re.IGNORECASE
)
_PATH_REST = r"(?:(?![\"'():;,]+(?:\s|$)| \().)*"  # a path ends where punctuation ends a word
_PATH = re.compile(
    rf"(?<![\w.\]/<~])(?!(?:{'|'.join(map(re.escape, PUBLIC_PATHS))})(?!\S*\.\./))(?:~[\w.-]*)?/(?=[^\s/]){_PATH_REST}"
    rf"|\b[A-Za-z]:\\{_PATH_REST}|\\\\(?=\w){_PATH_REST}"
    rf"|(?<![\w.\]/\\-])(?:home|Users|media|mnt|srv)[/\\]{_PATH_REST}"
)
_IP_ADDRESS = re.compile(
    r"(?<![\w.])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]*:[0-9A-Fa-f:]*:[0-9A-Fa-f.:]*(?:%\w+)?)(?![\w])"
)


class PrivateNames(NamedTuple):
    """What this machine knows about itself and its users."""

    hosts: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()  # account names, and the people's names
    secrets: frozenset[str] = frozenset()
    named: frozenset[str] = frozenset()  # what the user named on the command line: paths, and parts of them
    folders: tuple[tuple[str, str], ...] = ()  # path -> what replaces it: of the package and of Python

    @classmethod
    def of_this_machine(cls, environment: Mapping[str, str] = os.environ) -> PrivateNames:
        """Return the names of the host and of the people with an account, and the secrets in the environment."""
        host = socket.gethostname()
        hosts = {host, host.partition(".")[0], *host.split(".", 1)[1:]}
        users = {environment.get(name, "") for name in ("USER", "LOGNAME", "SUDO_USER", "USERNAME")}
        with suppress(ImportError, KeyError, OSError):
            users.add(getpass.getuser())
        with suppress(ImportError):  # not on Windows
            import pwd

            if sys.platform != "win32":
                people = [each for each in pwd.getpwall() if FIRST_USER_ID <= each.pw_uid < 60000]
                users |= {name for each in people for name in (each.pw_name, each.pw_gecos.partition(",")[0])}
        secrets = {text for name, text in environment.items() if SECRET_VARIABLES.fullmatch(name)}
        folders = {str(PACKAGE_FOLDER): "[package]", sys.prefix: "[python]", sys.base_prefix: "[python]"}
        return cls(
            frozenset(filter(_is_private, hosts)),
            frozenset(filter(_is_private, users)),
            frozenset(text.strip() for text in secrets if text.strip()),
            folders=tuple(sorted(folders.items(), key=lambda item: -len(item[0]))),
        )


def scrub(text: str, names: PrivateNames) -> str:
    """Return `text` with placeholders in brackets in place of what is private, line by line."""
    return "\n".join(_scrub_line(line, names) for line in text.split("\n"))


def replace_names(text: str, names: PrivateNames) -> str:
    """Return `text` without the secrets and names that this machine knows; the patterns are not applied."""
    for secret in sorted(names.secrets, key=len, reverse=True):
        text = text.replace(secret, "[secret]")
    return _replace_words(_replace_words(text, names.users, "[user]"), names.hosts, "[host]")


def _scrub_line(line: str, names: PrivateNames) -> str:
    for folder, placeholder in names.folders:
        if folder.strip("/").count("/"):  # not /usr
            line = line.replace(f"{folder}/", f"{placeholder}/")
    for secret in sorted(names.secrets, key=len, reverse=True):  # before a pattern takes half of one
        line = line.replace(secret, "[secret]")
    line = _replace_words(line, names.named, "[named]")
    for pattern, replacement in _SECRETS:
        line = pattern.sub(replacement, line)
    line = _PATH.sub("[path]", line)
    line = _FILE.sub(lambda found: found[0] if "haarcascade_" in found[0] else f"[file].{found[1]}", line)
    line = _FILE_IN_FOLDER.sub(r"[file].\1", line)
    for pattern, replacement in _PRIVATE:
        line = pattern.sub(replacement, line)
    return replace_names(_IP_ADDRESS.sub(_replace_ip_address, line), names)


def _replace_ip_address(found: re.Match[str]) -> str:
    text = found[0].rstrip(":") if not found[0].endswith("::") else found[0]
    with suppress(ValueError):  # a time of day, a version
        address = ipaddress.ip_address(text)
        if not (address.is_loopback or address.is_unspecified):
            return "[address]" + found[0][len(text) :]
    return found[0]


def _is_private(name: str) -> bool:
    return len(name) >= MIN_NAME_CHARACTERS and name not in PUBLIC_NAMES


def _replace_words(text: str, words: Iterable[str], placeholder: str) -> str:
    """Replace each of `words` that stands between characters that are no letters and digits."""
    for word in sorted(words, key=len, reverse=True):
        for variant in {word, word.lower(), word.upper()} if len(word) > 3 else {word}:
            text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(variant)}(?![A-Za-z0-9])", placeholder, text)
    return text
