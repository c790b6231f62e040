"""The refusal of connections to private networks.

It is for addresses that a stranger may have chosen. An adapter asks for it with `public_only`. The
check is made on the address of the established connection, before a byte is written: no name is
resolved a second time, so DNS can't show the check one address and the connection another. Clients
of our own check it themselves (`network`), and share their connections with nobody.

A client that was handed in is watched through httpx's `trace` extension (`AddressProof`). It may
hold connections that nobody checked, so each request needs a new one, and nothing is written over
any other. What no trace and no address proves is refused as well. Behind a proxy the address is the
proxy's, which has to enforce the rule. Since the names of trace events are httpcore's own, the
address is checked again when an answer begins: nothing that a private address sends is ever read.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address
from typing import Any, cast

import httpx

__all__ = [
    "NOT_PUBLIC",
    "UNPROVED",
    "AddressProof",
    "BarredError",
    "is_public",
    "over_public",
    "require_public",
]

NOT_PUBLIC = "the platform's address isn't a public one, and the connection allows no other"
"""The error's text.

It leaves out the address, which would map a private network for a stranger.
"""

UNPROVED = "the HTTP client doesn't prove that it connects to a public address, as it has to here"
"""The error's text for a client that was handed in."""

_CONNECTED = (".connect_tcp.complete", ".connect_unix_socket.complete")
_WRITING = ".send_request_headers.started"

_NOT_PUBLIC_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carriers' own, and some clouds' metadata
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's host, which answers its virtual machines
        "169.254.0.0/16",  # link-local: the clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocols' own: 192.0.0.192 is Oracle's metadata
        "192.0.2.0/24",
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",  # multicast and reserved
    )
)
"""Listed here, since Python's own `is_global` differs from version to version."""

_PUBLIC_V6 = IPv6Network("2000::/3")
"""All global unicast addresses. Nothing outside it is assigned for public use."""

_NOT_PUBLIC_V6 = tuple(IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "3fff::/20"))
_NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)
"""The middle half of an address with an IPv4 one in its last 32 bits (RFC 5214)."""


class BarredError(httpx.ConnectError):
    """The address isn't public. Nothing was sent to it."""


def is_public(address: str) -> bool:
    """Return whether an IP address belongs to the public internet.

    False for text that isn't an address. An IPv6 address that embeds an IPv4 one (mapped, 6to4,
    NAT64) is judged by that.

    >>> is_public("93.184.215.14"), is_public("169.254.169.254"), is_public("::ffff:10.0.0.1")
    (True, False, False)
    """
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, IPv4Address):
        return not any(ip in network for network in _NOT_PUBLIC_V4)
    last = IPv4Address(int(ip) & 0xFFFFFFFF)
    embedded = last if ip in _NAT64 else ip.ipv4_mapped or ip.sixtofour
    if embedded:
        return is_public(str(embedded))
    if int(ip) >> 32 & 0xFFFFFFFF in _ISATAP and not is_public(str(last)):
        return False
    return ip in _PUBLIC_V6 and not any(ip in network for network in _NOT_PUBLIC_V6)


class AddressProof:
    """A watch on one request over a client that was handed in.

    It watches as httpx's `trace` extension. A connection to an address that isn't public is closed,
    and `BarredError` raised. The same is raised when a request is about to be written over a
    connection that wasn't opened for it.
    """

    def __init__(self) -> None:
        self._is_proved = False

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Check the address, for a client of threads."""
        refusal = self._refusal_of(event, info)
        if refusal:
            if event.endswith(_CONNECTED):
                info["return_value"].close()
            raise refusal

    async def atrace(self, event: str, info: Mapping[str, Any]) -> None:
        """Check the address, for a client of tasks."""
        refusal = self._refusal_of(event, info)
        if refusal:
            if event.endswith(_CONNECTED):
                await info["return_value"].aclose()
            raise refusal

    def _refusal_of(self, event: str, info: Mapping[str, Any]) -> httpx.ConnectError | None:
        if event.endswith(_CONNECTED):
            refusal = _refusal(info["return_value"])
            self._is_proved = refusal is None
            return refusal
        is_unproved = event.endswith(_WRITING) and not self._is_proved
        if not is_unproved:
            return None
        return BarredError(UNPROVED)


def over_public(answer: httpx.Response) -> bool:
    """Return whether an answer is proved to come from a public address."""
    stream = answer.extensions.get("network_stream")
    return stream is not None and not isinstance(_refusal(stream), BarredError)


def _refusal(stream: Any) -> httpx.ConnectError | None:
    try:
        peer = stream.get_extra_info("server_addr")
    except OSError:  # reset at the moment it was established
        return httpx.ConnectError("the connection broke")
    try:
        require_public(peer)
    except BarredError as barred:
        return barred
    return None


def require_public(peer: object) -> None:
    """Raise `BarredError` unless the peer of a connection has a public address.

    `peer` is a pair of address and port, as a socket gives it.
    """
    address = ""  # a Unix socket has a path instead of a pair
    if isinstance(peer, tuple):
        address = str(cast("tuple[object, ...]", peer)[0])
    if not is_public(address):
        raise BarredError(NOT_PUBLIC)
