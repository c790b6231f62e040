"""Keeps a connection whose address a stranger may have chosen out of private networks.

The check is of the address that is really connected to, as soon as the connection stands and before
a byte is written on it. No name is looked up a second time, so DNS can't show the check one address
and the connection another. It rides on httpx's `trace` extension of the request, and so it holds
for a client that was handed in as well; there, with a proxy, the address is the proxy's, and the
proxy has to keep the rule. The names of those events are httpcore's, so the address is looked at
once more when an answer begins: nothing that a private address says is ever read.

An adapter asks for it with `public_only`.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, cast

import httpx

__all__ = ["NOT_PUBLIC", "BarredError", "guard", "guard_async", "is_public", "over_public"]

NOT_PUBLIC = "the platform's address isn't a public one, and the connection allows no other"
"""What is said of it. The address itself isn't told: it would map a private network for whoever asks."""

_CONNECTED = (".connect_tcp.complete", ".connect_unix_socket.complete")
_NAT64 = IPv6Network("64:ff9b::/96")


class BarredError(httpx.ConnectError):
    """The address isn't a public one. Nothing was sent to it."""


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet; False for what isn't an address.

    An IPv6 address that carries an IPv4 one (mapped, 6to4, NAT64) leads there, so it is judged by
    that.

    >>> is_public("93.184.215.14"), is_public("169.254.169.254"), is_public("::ffff:10.0.0.1")
    (True, False, False)
    """
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, IPv6Address):
        carried = (
            IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else ip.ipv4_mapped or ip.sixtofour
        )
        if carried:
            return is_public(str(carried))
        if ip.is_site_local:
            return False
    return ip.is_global and not (
        ip.is_multicast or ip.is_reserved or ip.is_link_local or ip.is_unspecified
    )


def guard(event: str, info: Mapping[str, Any]) -> None:
    """Close a connection to an address that isn't public, and raise `BarredError`. A `trace` callback."""
    if event.endswith(_CONNECTED) and (refusal := _refusal(info["return_value"])):
        info["return_value"].close()
        raise refusal


async def guard_async(event: str, info: Mapping[str, Any]) -> None:
    """Do the same for an async client."""
    if event.endswith(_CONNECTED) and (refusal := _refusal(info["return_value"])):
        await info["return_value"].aclose()
        raise refusal


def over_public(answer: httpx.Response) -> bool:
    """Whether an answer came from a public address, or over no network at all (a transport of a test's own).

    `guard` hasn't seen a connection that another request opened in a client that is shared.
    """
    stream = answer.extensions.get("network_stream")
    return stream is None or not isinstance(_refusal(stream), BarredError)


def _refusal(stream: Any) -> httpx.ConnectError | None:
    try:
        peer = stream.get_extra_info("server_addr")
    except OSError:  # reset in the moment in which it stood
        return httpx.ConnectError("the connection broke")
    # A Unix socket has a path instead of a pair.
    address = str(cast("tuple[object, ...]", peer)[0]) if isinstance(peer, tuple) else ""
    return None if is_public(address) else BarredError(NOT_PUBLIC)
