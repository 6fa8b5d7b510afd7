"""Which connections are kept: a stranger's connections never keep out a client with the token, or a monitor."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tornado.iostream import IOStream

MAX_CONNECTIONS = 200  # a browser opens six at most
MAX_OF_ADDRESS = 50  # of one address, without the token; behind a reverse proxy all clients have one address
RESERVED_CONNECTIONS = 20  # for strangers: a monitor that reads /healthz has no token
MAX_REQUESTS = 1000  # of one connection, as nginx has it (keepalive_requests): thousands may arrive in one packet


@dataclass(slots=True)
class Connection:
    """An open connection of a client."""

    address: str
    is_trusted: bool = False  # it has sent the token or a session, or is a stream, whose number is limited elsewhere
    requests: int = 0  # that were answered


class ConnectionLimits:
    """Accepts every connection, and closes the one that has been idle for longest where there are too many.

    Only a connection that is not trusted is closed. So idle connections last as long as there is room, and a new one,
    whose request comes at once, is served.
    """

    def __init__(self) -> None:
        self._connections: dict[IOStream, Connection] = {}  # the one whose last request is longest ago comes first

    def __len__(self) -> int:
        return len(self._connections)

    def add(self, stream: IOStream, address: str) -> None:
        """Keep a new connection of `address`, and close others if there are too many, or if need be this one."""
        self._connections = {kept: each for kept, each in self._connections.items() if not kept.closed()}
        self._connections[stream] = Connection(address)
        of_address = Counter(each.address for each in self._connections.values() if not each.is_trusted)
        if of_address[address] > MAX_OF_ADDRESS:
            self._close_idle(address)
        if len(self._connections) > MAX_CONNECTIONS:
            self._close_idle(None)

    def use(self, stream: IOStream, *, is_trusted: bool) -> None:
        """Note that a request has come on the connection.

        Args:
            is_trusted: whether it is to be kept from now on.
        """
        connection = self._connections.pop(stream, None)
        if connection is None:
            return
        if is_trusted and not connection.is_trusted:
            trusted = sum(each.is_trusted for each in self._connections.values())
            connection.is_trusted = trusted < MAX_CONNECTIONS - RESERVED_CONNECTIONS
        self._connections[stream] = connection

    def count_request(self, stream: IOStream) -> bool:
        """Count a request that is being answered; return whether the connection is to be closed after the answer."""
        connection = self._connections.get(stream)
        if connection is None:
            return False
        connection.requests += 1
        return connection.requests >= MAX_REQUESTS

    def close(self) -> None:
        """Close all connections."""
        for stream in list(self._connections):
            stream.close()

    def _close_idle(self, address: str | None) -> None:
        """Close the connection that has been idle for longest: of `address`, or None: of any."""
        for stream, connection in self._connections.items():
            if not connection.is_trusted and address in (None, connection.address):
                del self._connections[stream]
                stream.close()  # without a response: it may be in the middle of one
                return
