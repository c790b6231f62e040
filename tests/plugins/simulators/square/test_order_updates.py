from __future__ import annotations

from plugins.simulators.square.shop import Json, Reply, Shop, ad_hoc, aud, line, order_of, pickup
from tillpost.simulator import serve_in_thread
from tillpost_simulators.square import SquareSimulator, WorldSettings


def ended(order: Json, **more: object) -> Json:
    """Return the update that cancels an order and its fulfilments in one call."""
    fulfilments = [
        {"uid": fulfilment["uid"], "state": "CANCELED"} for fulfilment in order["fulfillments"]
    ]
    return {
        "version": order["version"],
        "state": "CANCELED",
        "fulfillments": fulfilments,
        **more,
    }


def created_pickup(shop: Shop) -> Json:
    return shop.create(pickup()).order


def rename_ticket(
    shop: Shop,
    order: Json,
    version: int,
    ticket_name: str,
    key: str | None = None,
) -> Reply:
    """Update the ticket's name, as if the order had that version."""
    update = {"version": version, "ticket_name": ticket_name}
    return shop.update(order["id"], update, key=key)


def detail_of(refused: Reply) -> str:
    detail: str = refused.body["errors"][0]["detail"]
    return detail


def test_version_rises_by_itself_after_reads() -> None:
    with serve_in_thread(SquareSimulator(WorldSettings(version_rises_every=2))) as running:
        shop = Shop(running)
        created = shop.create(pickup()).order
        read = shop.fetch(created["id"])
        assert read["version"] == 1
        stale = rename_ticket(shop, created, 1, "A")
        assert stale.error == ("VERSION_MISMATCH", "order.version")
        assert shop.fetch(created["id"])["version"] == 2
        assert rename_ticket(shop, created, 2, "A").status == 200
        shop.client.close()


def test_order_is_cancelled_with_fulfilments_in_one_call(shop: Shop) -> None:
    created = created_pickup(shop)
    cancelling = ended(created, location_id="L-CAFE")
    cancelled = shop.update(created["id"], cancelling).order
    assert cancelled["state"] == "CANCELED"
    (fulfilment,) = cancelled["fulfillments"]
    assert fulfilment["pickup_details"]["canceled_at"]
    assert cancelled["version"] == 2
    assert shop.simulator.ledger().half_done == ()


def test_order_is_cancelled_after_its_fulfilments(shop: Shop) -> None:
    created = created_pickup(shop)
    only_fulfilments = ended(created)
    del only_fulfilments["state"]
    after = shop.update(created["id"], only_fulfilments).order
    assert after["version"] == 2
    only_state = {"version": 2, "state": "CANCELED"}
    cancelled = shop.update(created["id"], only_state).order
    assert cancelled["state"] == "CANCELED"


def test_order_is_not_cancelled_before_its_fulfilments(shop: Shop) -> None:
    created = created_pickup(shop)
    only_state = {"version": 1, "state": "CANCELED"}
    refused = shop.update(created["id"], only_state)
    assert refused.error == ("BAD_REQUEST", "order.state")


def test_paid_order_cannot_be_cancelled(shop: Shop) -> None:
    paid = shop.paid()
    refused = shop.update(paid["id"], ended(paid))
    assert refused.error == ("BAD_REQUEST", "order.state")
    assert shop.fetch(paid["id"]) == paid


def test_update_needs_the_current_version(shop: Shop) -> None:
    created = created_pickup(shop)
    order_id = created["id"]
    missing = shop.update(order_id, {"ticket_name": "B43"})
    assert missing.error == ("BAD_REQUEST", "order.version")
    stale = rename_ticket(shop, created, 7, "B43")
    assert stale.error == ("VERSION_MISMATCH", "order.version")
    assert detail_of(stale) == (
        f"Supplied version 7 does not match the current version 1 of order {order_id}."
    )
    current = rename_ticket(shop, created, 1, "B43")
    assert current.order["ticket_name"] == "B43"


def test_update_without_change_keeps_the_version(shop: Shop) -> None:
    created = created_pickup(shop)
    unchanged = rename_ticket(shop, created, 1, "B42")
    assert unchanged.order == created


def test_repeated_key_returns_latest_order_unchanged(shop: Shop) -> None:
    created = created_pickup(shop)
    rename_ticket(shop, created, 1, "A", key="u")
    rename_ticket(shop, created, 2, "B", key="v")
    repeated = rename_ticket(shop, created, 3, "C", key="u")
    assert repeated.order["ticket_name"] == "B"


def test_changed_lines_of_open_order_are_repriced(shop: Shop) -> None:
    discount = {
        "name": "W",
        "amount_money": aud(50),
        "scope": "ORDER",
    }
    created = shop.create(pickup(discounts=[discount])).order
    uid = created["line_items"][0]["uid"]
    two_and_special = [{"uid": uid, "quantity": "2"}, ad_hoc(price=10)]
    more = shop.update(created["id"], {"version": 1, "line_items": two_and_special}).order
    assert more["total_money"] == aud(2 * 1450 + 10 - 50)
    assert more["line_items"][0]["catalog_object_id"] == "5312"
    assert len(more["taxes"]) == 1
    fewer = shop.update(
        created["id"],
        {"version": 2},
        clear=[f"line_items[{uid}]", "discounts"],
    )
    assert fewer.order["total_money"] == aud(10)


def test_lines_of_paid_order_cannot_change(shop: Shop) -> None:
    paid = shop.paid()
    update = {"version": paid["version"], "line_items": [line()]}
    refused = shop.update(paid["id"], update)
    assert refused.error == ("BAD_REQUEST", "order.line_items")
    assert detail_of(refused) == "LineItems cannot be modified for finalized tenders."


def test_closed_order_refuses_update(shop: Shop) -> None:
    paid = shop.paid(order_of(ad_hoc()))
    refused = rename_ticket(shop, paid, paid["version"], "x")
    code, _ = refused.error
    assert code == "BAD_REQUEST"


def test_update_checks_limits(shop: Shop) -> None:
    created = created_pickup(shop)
    too_long = rename_ticket(shop, created, 1, "x" * 31)
    assert too_long.error == ("VALUE_TOO_LONG", "order.ticket_name")
    stray_fulfilment = {"uid": "nobody", "state": "CANCELED"}
    update = {"version": 1, "fulfillments": [stray_fulfilment]}
    stray = shop.update(created["id"], update)
    assert stray.error == ("INVALID_VALUE", "order.fulfillments[0].uid")


def test_order_can_be_cancelled_after_it_was_due(shop: Shop) -> None:
    order = pickup()
    details = order["fulfillments"][0]["pickup_details"]
    details["schedule_type"] = "SCHEDULED"
    details["pickup_at"] = "2036-01-01T00:00:00Z"
    created = shop.create(order).order
    shop.simulator.advance_clock(20 * 365 * 86400)
    shop.simulator.revoke_token(revoked=False)
    with shop.simulator.lock:
        token = next(iter(shop.simulator.world.tokens.values()))
        token.expires_at = token.expires_at.replace(year=9000)
    cancelled = shop.update(created["id"], ended(created)).order
    assert cancelled["state"] == "CANCELED"


def test_fulfilment_does_not_move_backward(shop: Shop) -> None:
    paid = shop.paid()
    shop.simulator.staff_prepare("ord-1")
    uid = paid["fulfillments"][0]["uid"]
    proposed_again = {"uid": uid, "state": "PROPOSED"}
    back = {"version": paid["version"] + 1, "fulfillments": [proposed_again]}
    refused = shop.update(paid["id"], back)
    assert refused.error == ("BAD_REQUEST", "order.fulfillments[0].state")
