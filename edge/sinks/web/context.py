"""What the request handlers and the publishers share."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from edge.sinks.web.authentication import Authenticator
from edge.sinks.web.connection_limits import ConnectionLimits
from edge.sinks.web.health import HealthMonitor
from edge.sinks.web.photo_queue import PhotoQueue
from edge.sinks.web.run_state import RunState
from edge.sinks.web.subscribers import SubscriberSet
from edge.system.limited_log import LimitedLog

_log = logging.getLogger(__name__)

EVENT_BUFFER_BYTES, MJPEG_BUFFER_BYTES = 32_768, 131_072  # of the kernel, for a slow client


@dataclass(frozen=True, slots=True, eq=False)
class WebContext:
    """What the handlers of all requests share."""

    run_state: RunState
    health: HealthMonitor
    authenticator: Authenticator
    event_clients: SubscriberSet
    mjpeg_clients: SubscriberSet
    image_fps: float | None  # images of the camera per second at most; None: never shown
    photos: PhotoQueue | None  # None: no uploads
    connections: ConnectionLimits = field(default_factory=ConnectionLimits)
    log: LimitedLog = field(default_factory=lambda: LimitedLog(_log))  # of what requests cause
