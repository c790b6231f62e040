"""Refuses connections to private networks, for addresses that a stranger may have chosen.

An adapter asks for it with `public_only`. The check is made on the address of the established
connection, before a byte is written: no name is resolved a second time, so DNS can't show the check
one address and the connection another. It uses httpx's `trace` extension of the request, so it also
works with a client that was handed in. Behind a proxy the address is the proxy's, which has to
enforce the rule. Since the names of trace events are httpcore's own, the address is checked again
when an answer begins: nothing that a private address sends is ever read.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, cast

import httpx

__all__ = [
    "NOT_PUBLIC",
    "BarredError",
    "guard",
    "guard_async",
    "is_public",
    "over_public",
    "require_public",
]

NOT_PUBLIC = "the platform's address isn't a public one, and the connection allows no other"
"""The error's text. It leaves out the address, which would map a private network for a stranger."""

_CONNECTED = (".connect_tcp.complete", ".connect_unix_socket.complete")
_NAT64 = IPv6Network("64:ff9b::/96")


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
    if isinstance(ip, IPv6Address):
        embedded = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            embedded = IPv4Address(int(ip) & 0xFFFFFFFF)
        if embedded:
            return is_public(str(embedded))
        if ip.is_site_local:
            return False
    special = ip.is_multicast or ip.is_reserved or ip.is_link_local or ip.is_unspecified
    return ip.is_global and not special


def guard(event: str, info: Mapping[str, Any]) -> None:
    """Close a connection to an address that isn't public, and raise `BarredError`.

    A callback for httpx's `trace` extension.
    """
    if event.endswith(_CONNECTED) and (refusal := _refusal(info["return_value"])):
        info["return_value"].close()
        raise refusal


async def guard_async(event: str, info: Mapping[str, Any]) -> None:
    """Do as `guard` does, for an async client."""
    if event.endswith(_CONNECTED) and (refusal := _refusal(info["return_value"])):
        await info["return_value"].aclose()
        raise refusal


def over_public(answer: httpx.Response) -> bool:
    """Return whether an answer came from a public address, or over no network at all.

    `guard` misses a connection that another request opened in a shared client.
    """
    stream = answer.extensions.get("network_stream")
    return stream is None or not isinstance(_refusal(stream), BarredError)


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
