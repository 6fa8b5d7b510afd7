"""The result of one check of `edge doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edge.errors import EmotionEdgeError

Status = Literal["ok", "warning", "error", "unavailable"]

NOT_AVAILABLE = "not available on this machine"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report."""

    name: str
    status: Status  # unavailable: the machine lacks what is checked, or it could not be checked; no problem in itself
    message: str  # what was found
    advice: str = ""  # what to do; empty where there is nothing to do


def describe_error(error: BaseException) -> str:
    """Return the message of `error` in one line, with its type unless it is written for users."""
    return " ".join(str(error).split()) if isinstance(error, EmotionEdgeError | OSError) else repr(error)
