"""What a configuration keeps, sends and shows of the people in front of the camera, for people who have to say so."""

from __future__ import annotations

from collections.abc import Mapping

from edge.types import Disclosure, Sink

TITLES = {"kept": "Kept on this device", "sent": "Sent from this device", "shown": "Shown"}
UNKNOWN = "not described by this sink of your own: read its file"
NOTES = (
    "Images are analyzed in memory. Nothing else is kept, sent or shown; there is no telemetry.",
    "Relative paths start at the working directory, which is /var/lib/emotion-edge for the service.",
    "The EU prohibits inferring emotions at work and in education; elsewhere people must be informed: docs/privacy.md.",
)


def describe(sinks: Mapping[str, Sink]) -> str:
    """Return a text of several lines: what is kept, sent and shown by `sinks`, spec -> sink.

    A sink that has no method `disclose` is named in each part, as unknown.
    """
    unknown = Disclosure((UNKNOWN,), (UNKNOWN,), (UNKNOWN,))
    disclosed = {spec: sink.disclose() if hasattr(sink, "disclose") else unknown for spec, sink in sinks.items()}
    parts = []
    for name, title in TITLES.items():
        lines = [f"  {spec}: {line}" for spec, each in disclosed.items() for line in getattr(each, name)]
        parts.append("\n".join([f"{title}:", *(lines or ["  nothing"])]))
    return "\n\n".join([*parts, "\n".join(NOTES)])
