"""What a broker can do wrong."""

from __future__ import annotations

from edge.errors import SinkError


class BrokerRefusedError(SinkError):
    """The broker refused the connection, gave it to another client, or sent what it may not.

    The next attempt will most likely fail, too.
    """
