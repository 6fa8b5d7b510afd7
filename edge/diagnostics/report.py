"""The report of `edge doctor --report`: what a maintainer needs to answer an issue, as text that anybody can read.

It has no image and no result of a face. Of a setting it has only numbers and names that the program itself defines.
Free text (the log, messages, names of cameras) goes through edge/diagnostics/scrub.py.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from textwrap import shorten
from typing import Any

from edge import __version__
from edge.capture import registry as cameras
from edge.capture import v4l2
from edge.capture.stream_url import PORTS
from edge.config import toml_file
from edge.config.models import packaged_models
from edge.detection import registry as detectors
from edge.diagnostics import scrub
from edge.diagnostics.check import Check
from edge.diagnostics.environment import installed_version
from edge.diagnostics.scrub import PrivateNames
from edge.inference import model_file, prior
from edge.system import systemd
from edge.system.bounded_read import read_at_most
from edge.system.plain_text import escape
from edge.system.sysfs import ROOT

SERVICE_CONFIG = Path("/etc/emotion-edge/config.toml")
LOG_LINES = 50
MAX_LOG_LINES = 1000  # that are read: most of them may be results
MAX_CHARACTERS = 300  # of a line
PACKAGES = ("tornado", "prometheus-client", "paho-mqtt", "pygame-ce", "pygame", "picamera2", "typer", "rich")
NOTICE = (
    "No image and no result is in this report. Names of this host and its users, addresses, paths, serial numbers and\n"
    "secrets are replaced by words in brackets. Read it before you send it: no program knows what is private to you."
)
# Lines of the sinks console and jsonl in the journal, behind time and process: they say what faces showed. The journal
# splits very long ones.
_RESULT = re.compile(
    r"\S+ \S+: (\d+:\d\d\.\d  face \d|.*  (face \d+ at \d|no face$)|\s*\{|.*\"(track_id|probabilities)\":)"
)
_HOST = re.compile(r"(?:\b(?:mqtt|web):|://(?:\S*@)?)(\[[0-9A-Fa-f:.]+\]|[\w.-]*[A-Za-z][\w.-]*)")
_PUBLIC_SOURCE = re.compile(r"(synthetic|picamera)(:[a-z0-9=,.]*)?|usb(:\d+)?|/dev/video\d+")
_PUBLIC_PARTS = {"auto", "by-id", "by-path", "dev", "synthetic", "usb", "v4l"}  # of what a command line names
_SEPARATORS = re.compile(r"[/\\:@,=?&#;]+")
_PUBLIC_FLAGS = {"blur", "image", "insecure", "mirror", "no-image", "no-photo", "tls", "windowed"}
_PUBLIC_OPTIONS = {
    *("ca", "cert", "client-id", "days", "discovery", "fps", "host", "key", "nobody", "password-file", "qos", "rate"),
    *("rotate", "token-file", "topic", "uncertain", "user-file", "version"),
}


def text(
    facts: Mapping[str, Any],
    checks: Sequence[Check],
    model: Path,
    config: Path | None = None,
    *,
    named: Iterable[str] = (),
    names: PrivateNames | None = None,
    now: datetime | None = None,
    root: Path = ROOT,
) -> str:
    """Return the report, with a line break at its end.

    Args:
        facts: of the machine, from edge.diagnostics.environment.
        checks: the results of edge.diagnostics.doctor.
        model: the model file.
        config: the configuration whose settings are reported; None: that of the service, if there is one.
        named: source, model and detector of the command line, which messages repeat.
        names: what must not be in the report; None: what this machine knows of itself.
        now: the time of the report; None: the present.
        root: the folder that stands for /.
    """
    names = PrivateNames.of_this_machine() if names is None else names
    config = root / SERVICE_CONFIG.relative_to("/") if config is None else config
    private = frozenset().union(*map(private_parts, named))
    names = names._replace(hosts=names.hosts | configured_hosts(config), named=private)
    plain: dict[str, Callable[[], Iterable[str]]] = {
        "Versions": lambda: _values({**facts["versions"], **{name: installed_version(name) for name in PACKAGES}}),
        "Machine": lambda: _values({name: value for name, value in facts.items() if name != "versions"}),
        "Model": lambda: _model(model),
        "Settings of the configuration file": lambda: _settings(config),
    }
    free_text: dict[str, Callable[[], Iterable[str]]] = {
        "Cameras": lambda: _cameras(root),
        "Checks": lambda: (f"{check.status:11} {check.name}: {check.message}" for check in checks),
        "Service": lambda: _values(systemd.service_properties() or {}),
        f"The last {LOG_LINES} lines of the service's log, in UTC": _log,
    }
    moment = datetime.now(UTC) if now is None else now
    parts = [f"emotion-edge {__version__}, {moment:%Y-%m-%d %H:%M} UTC\n\n{NOTICE}"]
    parts += [_section(title, lines) for title, lines in plain.items()]
    parts += [scrub.scrub(_section(title, lines), names) for title, lines in free_text.items()]
    return scrub.replace_names("\n\n".join(parts), names) + "\n"


def _section(title: str, lines: Callable[[], Iterable[str]]) -> str:
    """Return `title` with its lines, each on one printable line; an exception is a line, too."""
    try:
        shown = list(lines())
    except Exception as error:  # noqa: BLE001 (a report of a broken machine is what is wanted)
        shown = [f"not available: {type(error).__name__}"]
    printable = map(escape, shown or ["none"])
    # Whole words are cut off: half a password would not be recognized as one.
    cut = (
        line if len(line) <= MAX_CHARACTERS else shorten(line, MAX_CHARACTERS, placeholder=" ...") for line in printable
    )
    return "\n".join([title, *(f"  {line}" for line in cut)])


def _values(facts: Mapping[str, Any]) -> Iterator[str]:
    for name, value in facts.items():
        yield f"{name}: {'not available' if value is None else value}"


def _model(path: Path) -> Iterator[str]:
    _, card = model_file.load(path)
    known = path.resolve() in {each.resolve() for each in packaged_models().values()}
    content = read_at_most(path, model_file.MAX_MODEL_BYTES)
    yield f"file: {path.name if known else 'of your own'}, {len(content)} bytes"
    yield f"sha256: {hashlib.sha256(content).hexdigest()}"
    yield f"labels: {len(card.labels)}; input: {card.input_size} x {card.input_size} {card.color}"
    yield f"effective_resolution: {card.effective_resolution}; crop_padding: {card.crop_padding:g}"
    yield f"temperature: {card.temperature:g}; min_confidence: {card.min_confidence:g}"


def _cameras(root: Path) -> Iterator[str]:
    for node in v4l2.video_nodes(root):
        access = "" if node.accessible else ", not accessible"
        yield f"{node.path.name}: {node.name} ({node.driver}), formats {', '.join(node.formats) or 'none'}{access}"


def _log() -> Iterator[str]:
    """Yield the lines of the log, without those that tell what faces showed, which are counted."""
    lines = systemd.service_log(MAX_LOG_LINES)
    if not lines:
        yield "none, or this user may not read the journal: 'sudo edge doctor --report FILE'"
        return
    kept = [line for line in lines if not _RESULT.match(line)]
    yield from kept[-LOG_LINES:]
    yield f"({len(lines) - len(kept)} of {len(lines)} lines were results of faces, and are left out)"


def _settings(path: Path) -> Iterator[str]:
    """Yield the settings of the file at `path`, and the numbers of the lines that are not valid."""
    if not path.exists():
        yield "no file"
        return
    values, problems = toml_file.read_valid(path, {})
    for name, value in values.items():
        yield f"{name} = {describe_setting(name, value)}"
    for problem in problems:  # which quotes the value
        number = problem.removeprefix(f"{path}:").partition(":")[0]
        yield f"line {number}: not valid" if number.isdecimal() else "the file cannot be read"


def configured_hosts(path: Path) -> frozenset[str]:
    """Return the hosts in the sources and sinks of the file at `path`, which its service names in its log."""
    settings, _ = toml_file.read_valid(path, {})
    specs = " ".join(filter(None, [settings.get("source"), *settings.get("sinks", ())]))
    return frozenset(each.strip("[]") for each in _HOST.findall(specs)) - scrub.PUBLIC_NAMES


def private_parts(text: str) -> frozenset[str]:
    """Return `text`, which a user named, and the parts of it that are no names of the program and no numbers."""
    public = {*_PUBLIC_PARTS, *cameras.names(), *detectors.names(), *packaged_models(), *PORTS}
    if _PUBLIC_SOURCE.fullmatch(text):
        return frozenset()
    parts = {text, *_SEPARATORS.split(text)}
    parts |= {part.rpartition(".")[0] for part in parts}
    return frozenset(
        part for part in parts if len(part) >= scrub.MIN_NAME_CHARACTERS and part not in public and not part.isdecimal()
    )


def describe_setting(name: str, value: Any) -> str:
    """Return the public parts of the `value` of the setting `name`: numbers, and names that the program defines."""
    if isinstance(value, tuple):
        return ", ".join(describe_setting(name, each) for each in value) or "none"
    if not isinstance(value, str):
        return "[path]" if isinstance(value, Path) else str(value).lower()
    describe = {"source": _describe_source, "more_sources": _describe_source, "sinks": _describe_sink}.get(name)
    if describe:
        return describe(value)
    kind, colon, _ = value.partition(":")
    if name == "detector" and kind in detectors.names():
        return f"{kind}:[path]" if colon else kind
    if name == "prior":
        return _describe_prior(value)
    return value if name == "model" and value in {"auto", *packaged_models()} else "[path]"


def _describe_prior(text: str) -> str:
    """Return the fractions with the labels of the packaged models; other labels are replaced."""
    if text in (prior.EVERYDAY, prior.TRAINING):
        return text
    labels = {label for path in packaged_models().values() for label in model_file.load(path)[1].labels}
    parts = []
    for part in text.split(","):
        label, _, fraction = part.partition("=")
        if not re.fullmatch(r"[\d.]+", fraction.strip()):
            return "[path]"
        parts.append(f"{label.strip() if label.strip() in labels else '[label]'}={fraction.strip()}")
    return ",".join(parts)


def _describe_source(spec: str) -> str:
    scheme, separator, _ = spec.partition("://")
    if separator:
        return f"{scheme if scheme.lower() in PORTS else '[scheme]'}://[address]"
    return spec if _PUBLIC_SOURCE.fullmatch(spec) else "[path]"


def _describe_sink(spec: str) -> str:
    """Return the sink's name, its flags, and the names of its options, with their values where they are numbers."""
    from edge.sinks import registry as sinks  # needs NumPy, which may be what is broken

    name, colon, argument = spec.partition(":")
    if name not in sinks.names():
        return "[a sink of your own]"
    parts = []
    for part in argument.split(","):
        key, equals, value = part.partition("=")
        if equals:
            parts.append(f"{key if key in _PUBLIC_OPTIONS else '[option]'}={value if value.isdecimal() else '[text]'}")
        else:
            parts.append(part if part.isdecimal() or part in _PUBLIC_FLAGS or not part else "[text]")
    return f"{name}{colon}{','.join(parts)}"
