"""The address that the server listens on."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from typing import NamedTuple

from edge.errors import SinkError, UsageError

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8080
CONNECTION_BACKLOG = 128  # connections that the kernel queues until the server accepts them
# Reserved for documentation (RFC 5737, RFC 3849): no host has them, so the route to them is the default route.
UNASSIGNED_IPV4, UNASSIGNED_IPV6 = "192.0.2.1", "2001:db8::1"
DISCARD_PORT = 9


class Address(NamedTuple):
    """Where the server listens."""

    host: str  # a name, or a literal address without brackets
    port: int  # 0: any free one

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on this device can connect to it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def parse_address(text: str) -> Address:
    """Return the address of `text`: PORT, HOST, or HOST:PORT; an IPv6 address stands in brackets.

    Raises UsageError.
    """
    if text.isdecimal():
        host, port = DEFAULT_HOST, text
    elif text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
    else:
        host, colon, port = text.partition(":")
        if host.isalpha() and not colon and host != "localhost":  # a misspelled option rather than a host
            raise UsageError(
                f"sink web: {text!r} is neither an option nor an address, expected PORT, HOST:PORT or [IPV6]:PORT"
            )
    host, port = host or ("" if text else DEFAULT_HOST), port or str(DEFAULT_PORT)
    if not host or not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"sink web: {text!r} is not an address, expected PORT, HOST:PORT or [IPV6]:PORT")
    return Address(host, int(port))


def listen(address: Address) -> socket.socket:
    """Return a non-blocking socket that listens on `address`; `::` accepts IPv4 as well. Raises SinkError."""
    try:
        family, _, _, _, resolved = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        dual_stack = family == socket.AF_INET6 and address.host == "::" and socket.has_dualstack_ipv6()
        listening = socket.create_server(
            resolved[:2], family=family, backlog=CONNECTION_BACKLOG, dualstack_ipv6=dual_stack
        )
    except OSError as error:
        is_name_error = isinstance(error, socket.gaierror)  # its numbers are not errno's
        reason = str(error.strerror) if is_name_error or not error.errno else os.strerror(error.errno)
        remedy = "use an address of this device and a free port"
        if error.errno == errno.EAFNOSUPPORT:
            remedy = "the service needs systemd/network.conf"
        raise SinkError(f"web: cannot listen on {address} ({reason.lower()}); {remedy}") from error
    listening.setblocking(False)
    return listening


def reachable_address(address: Address) -> Address:
    """Return the address to type into a browser: for 0.0.0.0 and :: the one that other devices connect to."""
    if address.host not in ("0.0.0.0", "::"):  # noqa: S104 (compared)
        return address
    is_ipv4 = "." in address.host
    with socket.socket(socket.AF_INET if is_ipv4 else socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        try:
            # Of a datagram socket this sends nothing: it selects a route, and so this device's address.
            probe.connect((UNASSIGNED_IPV4 if is_ipv4 else UNASSIGNED_IPV6, DISCARD_PORT))
            return address._replace(host=probe.getsockname()[0])
        except OSError:  # no network yet
            return address._replace(host=f"{socket.gethostname()}.local")
