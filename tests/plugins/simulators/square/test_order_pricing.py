from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.simulators.square.shop import Json, Shop, ad_hoc, aud, line, order_of, pickup
from tillpost.simulator import serve_in_thread
from tillpost_simulators.square import SquareSimulator, WorldSettings
from tillpost_simulators.square.order_pricing import allocate


@pytest.fixture
def american() -> Iterator[Shop]:
    """A simulator with additive taxes."""
    settings = WorldSettings(tax_inclusive=False, tax_percentage="8.875")
    with serve_in_thread(SquareSimulator(settings)) as running:
        caller = Shop(running)
        yield caller
        caller.client.close()


@given(st.integers(0, 10**7), st.lists(st.integers(0, 10**6), min_size=1, max_size=30))
def test_shares_add_up_and_weight_zero_gets_nothing(total: int, weights: list[int]) -> None:
    shares = allocate(total, weights)
    assert sum(shares) == (total if sum(weights) else 0)
    assert all(
        share >= 0 and (weight or not share) for share, weight in zip(shares, weights, strict=True)
    )


def test_vendors_example_is_priced_to_the_cent(shop: Shop) -> None:
    """The amounts are those of the spec's CreateOrderResponse, its objects are ad hoc."""
    steak = ad_hoc("New York Strip Steak", 1599)
    second = ad_hoc(
        "New York Steak",
        2200,
        "2",
        modifiers=[{"name": "Well", "base_price_money": aud(50)}],
        applied_discounts=[{"discount_uid": "one-dollar-off"}],
    )
    order = order_of(
        steak,
        second,
        discounts=[
            {
                "uid": "labor-day-sale",
                "name": "Labor Day Sale",
                "percentage": "5",
                "scope": "ORDER",
            },
            {
                "uid": "one-dollar-off",
                "name": "$1.00 off",
                "amount_money": aud(100),
                "scope": "LINE_ITEM",
            },
            {
                "uid": "membership-discount",
                "name": "Membership",
                "percentage": "0.5",
                "scope": "ORDER",
            },
        ],
        taxes=[
            {
                "uid": "state-sales-tax",
                "name": "State Sales Tax",
                "percentage": "9",
                "scope": "ORDER",
            }
        ],
    )
    # The example takes the membership discount first, so discounts of one kind go in the order they
    # are listed.
    order["discounts"] = [order["discounts"][2], order["discounts"][0], order["discounts"][1]]
    priced = shop.create(order).order
    assert [discount["applied_money"]["amount"] for discount in priced["discounts"]] == [
        30,
        303,
        100,
    ]
    first, last = priced["line_items"]
    assert [a["applied_money"]["amount"] for a in first["applied_discounts"]] == [8, 79]
    assert sorted(a["applied_money"]["amount"] for a in last["applied_discounts"]) == [22, 100, 224]
    assert (first["total_tax_money"], last["total_tax_money"]) == (aud(136), aud(374))
    assert (first["total_money"], last["total_money"]) == (aud(1648), aud(4528))
    assert priced["total_money"] == aud(6176)


def test_inclusive_tax_keeps_total_and_additive_adds_to_it(shop: Shop, american: Shop) -> None:
    included = shop.create(pickup()).order
    assert (included["total_money"], included["total_tax_money"]) == (aud(1450), aud(132))
    added = american.create(pickup()).order
    assert (added["total_money"], added["total_tax_money"]) == (aud(1450 + 129), aud(129))


def test_halves_are_rounded_to_even(shop: Shop) -> None:
    tax = [{"name": "T", "percentage": "50", "scope": "ORDER"}]
    amounts = [
        shop.create(order_of(ad_hoc(price=p), taxes=tax)).order["total_tax_money"]["amount"]
        for p in (1, 3, 5)
    ]
    assert amounts == [0, 2, 2]


def test_several_taxes_add_up(shop: Shop) -> None:
    shop.simulator.add_tax("Card surcharge", "2")
    order = shop.create(pickup()).order
    assert len(order["taxes"]) == 2
    # 2 % of 1450 without the GST in it.
    assert order["total_money"] == aud(1450 + 26)


def test_taxes_are_automatic_only_on_request(shop: Shop) -> None:
    assert "taxes" not in shop.create(order_of(line())).order


def test_disabled_removed_or_absent_tax_is_not_applied(shop: Shop) -> None:
    surcharge = shop.simulator.add_tax("Surcharge", "2")
    shop.simulator.enable_tax(surcharge, enabled=False)
    assert len(shop.create(pickup()).order["taxes"]) == 1
    shop.simulator.enable_tax(surcharge)
    shop.simulator.withdraw(surcharge)
    assert len(shop.create(pickup()).order["taxes"]) == 1
    shop.simulator.withdraw(surcharge, withdrawn=False)
    assert len(shop.create(pickup()).order["taxes"]) == 2
    shop.simulator.remove_tax(surcharge)
    assert len(shop.create(pickup()).order["taxes"]) == 1


def test_tax_applies_only_to_items_that_list_it(shop: Shop) -> None:
    shop.simulator.add_item("9001", "Gift card", 5000, tax_ids=[])
    order = shop.create(pickup(line("9001"), line())).order
    assert [part["total_tax_money"]["amount"] for part in order["line_items"]] == [0, 132]


def test_ad_hoc_line_gets_taxes_on_custom_amounts(shop: Shop) -> None:
    shop.simulator.add_tax("Import", "5", on_custom_amounts=False)
    assert [tax["name"] for tax in shop.create(pickup(ad_hoc())).order["taxes"]] == ["GST"]


def test_listed_and_automatic_tax_is_charged_twice(shop: Shop) -> None:
    order = shop.create(pickup(taxes=[{"catalog_object_id": "TAX-GST", "scope": "ORDER"}])).order
    assert [tax["name"] for tax in order["taxes"]] == ["GST", "GST"]


def test_blocked_tax_is_not_applied_to_its_line(shop: Shop) -> None:
    block = {"blocked_taxes": [{"tax_catalog_object_id": "TAX-GST"}]}
    assert "taxes" not in shop.create(pickup(line(pricing_blocklists=block))).order


def charge(phase: str, **more: object) -> Json:
    return {"name": "C", "calculation_phase": phase, **more}


@pytest.mark.parametrize(
    ("service_charge", "total", "tax"),
    [
        (charge("SUBTOTAL_PHASE", percentage="10"), 1450 + 129 + 145, 129),
        (charge("SUBTOTAL_PHASE", amount_money=aud(200)), 1450 + 129 + 200, 129),
        (charge("TOTAL_PHASE", percentage="10"), 1450 + 129 + 158, 129),
        (
            charge(
                "APPORTIONED_AMOUNT_PHASE",
                amount_money=aud(200),
                treatment_type="APPORTIONED_TREATMENT",
            ),
            1650 + 146,
            146,
        ),
    ],
)
def test_service_charge_is_applied_in_its_phase(
    american: Shop, service_charge: Json, total: int, tax: int
) -> None:
    order = american.create(pickup(service_charges=[service_charge])).order
    assert (order["total_money"], order["total_tax_money"]) == (aud(total), aud(tax))


def test_taxable_service_charge_gets_order_taxes(shop: Shop) -> None:
    taxed = charge("SUBTOTAL_PHASE", amount_money=aud(1000), taxable=True)
    tax = {"name": "T", "percentage": "10", "scope": "ORDER"}
    assert shop.create(order_of(ad_hoc(), taxes=[tax], service_charges=[taxed])).order[
        "total_money"
    ] == aud(2200)


def test_discount_never_exceeds_the_price(shop: Shop) -> None:
    order = shop.create(
        pickup(discounts=[{"name": "W", "amount_money": aud(9999), "scope": "ORDER"}])
    ).order
    assert (order["total_money"], order["total_discount_money"]) == (aud(0), aud(1450))


def test_modifier_price_uses_own_and_line_quantity(shop: Shop) -> None:
    syrup = {"catalog_object_id": "232", "quantity": "2"}
    assert shop.create(pickup(line("7302", "3", modifiers=[syrup]))).order["total_money"] == aud(
        3 * (550 + 2 * 70)
    )
