"""A Till and an AsyncTill over a real HTTP server: what they share, and that they do the same."""

from __future__ import annotations

from .conftest import Opening
from .toy import ToyServer, toy_order


def test_a_paid_order_reaches_the_platform_once(opening: Opening, server: ToyServer) -> None:
    till = opening(server.adapter())
    first = till.submit(toy_order())
    assert till.submit(toy_order()) == first
    assert [order.total for order in server.made("ord-1")] == [1000]
    assert server.count("POST /orders") == 1
