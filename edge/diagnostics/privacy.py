"""What a configuration keeps, sends and shows of the people in front of the camera, for people who have to say so."""

from __future__ import annotations

from collections.abc import Mapping

from edge.system.plain_text import escape
from edge.types import Disclosure, Sink

TITLES = {"kept": "Kept on this device", "sent": "Sent from this device", "shown": "Shown"}
UNKNOWN = "not described by this sink of your own: read its file"
NEUTRAL = "calibrate_neutral: in memory, what each face shows at rest, forgotten when the face is gone"
SOURCE = "the camera sends its IMAGES to this device through the network"
NOTHING_ELSE = "Nothing else is kept, sent or shown; there is no telemetry."
ONLY_DESCRIBED = "What the sinks of your own do is not known here; without them nothing else is kept, sent or shown."
NOTES = (
    "Relative paths start at the working directory, which is /var/lib/emotion-edge for the service.",
    "The EU prohibits inferring emotions at work and in education; elsewhere people must be informed: docs/privacy.md.",
)


def describe(sinks: Mapping[str, Sink], source: str = "", *, calibrate_neutral: bool = False) -> str:
    """Return a text of several lines: what is kept, sent and shown by `sinks`, spec -> sink.

    A sink that does not describe itself, or fails to, is named in each part, as unknown.

    Args:
        sinks: made, not entered.
        source: of the run; a network camera is named, without its address.
        calibrate_neutral: whether the run learns what each face shows at rest.
    """
    disclosed = {spec: _disclosure(sink) for spec, sink in sinks.items()}
    others = {"kept": [NEUTRAL] if calibrate_neutral else [], "sent": _describe_source(source)}
    parts = []
    for name, title in TITLES.items():
        said = [(spec, line) for spec, each in disclosed.items() for line in getattr(each, name)]
        lines = [f"  {escape(line)}" for line in (*(f"{spec}: {line}" for spec, line in said), *others.get(name, []))]
        parts.append("\n".join([f"{title}:", *(lines or ["  nothing"])]))
    is_complete = all(UNKNOWN not in line for each in disclosed.values() for line in each.kept)
    end = f"Images are analyzed in memory. {NOTHING_ELSE if is_complete else ONLY_DESCRIBED}"
    return "\n\n".join([*parts, "\n".join([end, *NOTES])])


def _disclosure(sink: Sink) -> Disclosure:
    """Return what `sink` says of itself, in lines; unknown if it says nothing, raises, or returns something else."""
    reason = ""
    try:
        if hasattr(sink, "disclose"):
            said: object = sink.disclose()
            if isinstance(said, Disclosure):
                parts: tuple[object, ...] = said.kept, said.sent, said.shown
                if all(isinstance(part, tuple) and all(isinstance(line, str) for line in part) for part in parts):
                    return said
            reason = " (disclose() returned no Disclosure with tuples of lines)"
    except Exception as error:  # noqa: BLE001 (the user's own code may raise anything)
        reason = f" (disclose() failed: {type(error).__name__}: {error})"
    line = UNKNOWN + reason
    return Disclosure((line,), (line,), (line,))


def _describe_source(source: str) -> list[str]:
    scheme = source.partition("://")[0].lower() if "://" in source else ""
    protection = {"http": "NOT ENCRYPTED", "rtsp": "NOT ENCRYPTED", "https": "encrypted", "rtsps": "encrypted"}
    return [f"{scheme}://: {SOURCE}, {protection[scheme]}"] if scheme in protection else []
