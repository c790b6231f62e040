from __future__ import annotations

from plugins.simulators.square.shop import Json, Shop, ad_hoc, aud, line, order_of, pickup


def ended(order: Json, **more: object) -> Json:
    """Return the update that cancels an order and its fulfilments in one call."""
    fulfilments = [
        {"uid": fulfilment["uid"], "state": "CANCELED"} for fulfilment in order["fulfillments"]
    ]
    return {"version": order["version"], "state": "CANCELED", "fulfillments": fulfilments, **more}


def test_order_is_cancelled_with_fulfilments_in_one_call(shop: Shop) -> None:
    created = shop.create(pickup()).order
    cancelled = shop.update(created["id"], ended(created, location_id="L-CAFE")).order
    assert cancelled["state"] == "CANCELED"
    assert cancelled["fulfillments"][0]["pickup_details"]["canceled_at"]
    assert (cancelled["version"], shop.simulator.ledger().half_done) == (2, ())


def test_order_is_cancelled_after_its_fulfilments(shop: Shop) -> None:
    created = shop.create(pickup()).order
    only_fulfilments = ended(created)
    del only_fulfilments["state"]
    assert shop.update(created["id"], only_fulfilments).order["version"] == 2
    assert (
        shop.update(created["id"], {"version": 2, "state": "CANCELED"}).order["state"] == "CANCELED"
    )


def test_order_is_not_cancelled_before_its_fulfilments(shop: Shop) -> None:
    created = shop.create(pickup()).order
    assert shop.update(created["id"], {"version": 1, "state": "CANCELED"}).error == (
        "BAD_REQUEST",
        "order.state",
    )


def test_paid_order_cannot_be_cancelled(shop: Shop) -> None:
    paid = shop.paid()
    assert shop.update(paid["id"], ended(paid)).error == ("BAD_REQUEST", "order.state")
    assert shop.fetch(paid["id"]) == paid


def test_update_needs_the_current_version(shop: Shop) -> None:
    created = shop.create(pickup()).order
    missing = shop.update(created["id"], {"ticket_name": "B43"})
    assert missing.error == ("BAD_REQUEST", "order.version")
    stale = shop.update(created["id"], {"version": 7, "ticket_name": "B43"})
    assert stale.error == ("VERSION_MISMATCH", "order.version")
    assert stale.body["errors"][0]["detail"] == (
        f"Supplied version 7 does not match the current version 1 of order {created['id']}."
    )
    assert (
        shop.update(created["id"], {"version": 1, "ticket_name": "B43"}).order["ticket_name"]
        == "B43"
    )


def test_update_without_change_keeps_the_version(shop: Shop) -> None:
    created = shop.create(pickup()).order
    assert shop.update(created["id"], {"version": 1, "ticket_name": "B42"}).order == created


def test_repeated_key_returns_latest_order_unchanged(shop: Shop) -> None:
    created = shop.create(pickup()).order
    shop.update(created["id"], {"version": 1, "ticket_name": "A"}, key="u")
    shop.update(created["id"], {"version": 2, "ticket_name": "B"}, key="v")
    assert (
        shop.update(created["id"], {"version": 3, "ticket_name": "C"}, key="u").order["ticket_name"]
        == "B"
    )


def test_changed_lines_of_open_order_are_repriced(shop: Shop) -> None:
    created = shop.create(
        pickup(discounts=[{"name": "W", "amount_money": aud(50), "scope": "ORDER"}])
    ).order
    uid = created["line_items"][0]["uid"]
    more = shop.update(
        created["id"],
        {"version": 1, "line_items": [{"uid": uid, "quantity": "2"}, ad_hoc(price=10)]},
    )
    assert more.order["total_money"] == aud(2 * 1450 + 10 - 50)
    assert more.order["line_items"][0]["catalog_object_id"] == "5312"
    assert len(more.order["taxes"]) == 1
    fewer = shop.update(created["id"], {"version": 2}, clear=[f"line_items[{uid}]", "discounts"])
    assert fewer.order["total_money"] == aud(10)


def test_lines_of_paid_order_cannot_change(shop: Shop) -> None:
    paid = shop.paid()
    refused = shop.update(paid["id"], {"version": paid["version"], "line_items": [line()]})
    assert refused.error == ("BAD_REQUEST", "order.line_items")
    assert (
        refused.body["errors"][0]["detail"] == "LineItems cannot be modified for finalized tenders."
    )


def test_closed_order_refuses_update(shop: Shop) -> None:
    paid = shop.paid(order_of(ad_hoc()))
    assert (
        shop.update(paid["id"], {"version": paid["version"], "ticket_name": "x"}).error[0]
        == "BAD_REQUEST"
    )


def test_update_checks_limits(shop: Shop) -> None:
    created = shop.create(pickup()).order
    assert shop.update(created["id"], {"version": 1, "ticket_name": "x" * 31}).error == (
        "VALUE_TOO_LONG",
        "order.ticket_name",
    )
    stray = shop.update(
        created["id"], {"version": 1, "fulfillments": [{"uid": "nobody", "state": "CANCELED"}]}
    )
    assert stray.error == ("INVALID_VALUE", "order.fulfillments[0].uid")


def test_order_can_be_cancelled_after_it_was_due(shop: Shop) -> None:
    order = pickup()
    order["fulfillments"][0]["pickup_details"] |= {
        "schedule_type": "SCHEDULED",
        "pickup_at": "2036-01-01T00:00:00Z",
    }
    created = shop.create(order).order
    shop.simulator.advance_clock(20 * 365 * 86400)
    shop.simulator.revoke_token(revoked=False)
    with shop.simulator.lock:
        token = next(iter(shop.simulator.world.tokens.values()))
        token.expires_at = token.expires_at.replace(year=9000)
    assert shop.update(created["id"], ended(created)).order["state"] == "CANCELED"


def test_fulfilment_does_not_move_backward(shop: Shop) -> None:
    paid = shop.paid()
    shop.simulator.staff_prepare("ord-1")
    uid = paid["fulfillments"][0]["uid"]
    back = {"version": paid["version"] + 1, "fulfillments": [{"uid": uid, "state": "PROPOSED"}]}
    assert shop.update(paid["id"], back).error == ("BAD_REQUEST", "order.fulfillments[0].state")
