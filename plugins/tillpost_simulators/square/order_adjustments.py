"""The check and completion of discounts, service charges and taxes.

An order's are checked and completed before it is priced.

With `pricing_options.auto_apply_taxes`, a catalogue line gets the taxes of its item, and an ad hoc
line those that apply to custom amounts (developer documentation: Apply catalog taxes). Taxes that
the request lists are added to these, even the same one a second time; that too is documented.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from tillpost_simulators.square import catalogue as c
from tillpost_simulators.square.errors import bad_request, missing, not_found
from tillpost_simulators.square.wire import (
    AppliedTax,
    Discount,
    LineItem,
    Money,
    Order,
    ServiceCharge,
    Tax,
)
from tillpost_simulators.square.world import World


def complete_adjustments(world: World, order: Order) -> None:
    """Check the adjustments of `order`, complete them, and add the automatic taxes.

    Raises:
        Refusal: An adjustment is incomplete or contradicts itself.
    """
    for index, discount in enumerate(order.discounts or ()):
        path = f"order.discounts[{index}]"
        _complete_discount(world, discount, path)
    for index, charge in enumerate(order.service_charges or ()):
        path = f"order.service_charges[{index}]"
        _complete_charge(world, charge, path)
    _remove_stale_adjustments(order)
    for index, tax in enumerate(order.taxes or ()):
        path = f"order.taxes[{index}]"
        _complete_tax(world, tax, order.location_id, path)
    _check_references(order)
    options = order.pricing_options
    if options is not None and options.auto_apply_taxes:
        _apply_automatic_taxes(world, order)


# --- one adjustment ---


def _complete_discount(world: World, discount: Discount, path: str) -> None:
    catalog_id = discount.catalog_object_id
    if catalog_id is not None:
        # The simulated catalogue has no discounts.
        detail = f"Discount with catalog object ID `{catalog_id}` not found."
        raise not_found(detail, f"{path}.catalog_object_id")
    if not discount.name:
        raise missing(f"{path}.name")
    _check_one_amount(world, discount.percentage, discount.amount_money, path)
    kind: Literal["FIXED_PERCENTAGE", "FIXED_AMOUNT"] = "FIXED_AMOUNT"
    if discount.percentage:
        kind = "FIXED_PERCENTAGE"
    if discount.type not in (None, kind):
        detail = f"A discount of this kind has the type {kind}."
        raise bad_request("INVALID_VALUE", detail, f"{path}.type")
    discount.type = kind
    discount.uid = discount.uid or world.new_uid()
    # unconfirmed: the scope of a discount or a tax that names none; a sandbox order would show it.
    discount.scope = discount.scope or "ORDER"


def _complete_charge(world: World, charge: ServiceCharge, path: str) -> None:
    """Complete a service charge.

    It has a name, one amount and a phase (OrderServiceCharge).
    """
    catalog_id = charge.catalog_object_id
    if catalog_id is not None:
        detail = f"Service charge with catalog object ID `{catalog_id}` not found."
        raise not_found(detail, f"{path}.catalog_object_id")
    if not charge.name:
        raise missing(f"{path}.name")
    _check_one_amount(world, charge.percentage, charge.amount_money, path)
    phase = charge.calculation_phase
    if phase is None:
        raise missing(f"{path}.calculation_phase")
    if phase == "TOTAL_PHASE" and charge.taxable:
        detail = "A service charge of the TOTAL_PHASE can't be taxable."
        raise bad_request("INVALID_VALUE", detail, f"{path}.taxable")
    is_apportioned = phase.startswith("APPORTIONED")
    treats_apportioned = charge.treatment_type == "APPORTIONED_TREATMENT"
    if is_apportioned != treats_apportioned:
        # unconfirmed: whether the phase alone is enough for an apportioned charge; a sandbox order
        # would show it.
        detail = "The treatment type doesn't fit the calculation phase."
        raise bad_request("INVALID_VALUE", detail, f"{path}.treatment_type")
    charge.uid = charge.uid or world.new_uid()
    charge.type = charge.type or "CUSTOM"
    charge.treatment_type = charge.treatment_type or "LINE_ITEM_TREATMENT"
    charge.taxable = bool(charge.taxable)
    if is_apportioned:
        charge.scope = charge.scope or "ORDER"


def _check_one_amount(
    world: World,
    percentage: str | None,
    amount: Money | None,
    path: str,
) -> None:
    if (percentage is None) == (amount is None):
        detail = "Exactly one of `percentage` and `amount_money` must be set."
        raise bad_request("BAD_REQUEST", detail, f"{path}.amount_money")
    world.check_currency(amount, f"{path}.amount_money")
    if amount is not None and amount.amount < 0:
        field = f"{path}.amount_money.amount"
        raise bad_request("VALUE_TOO_LOW", "The amount must not be negative.", field)


def _complete_tax(
    world: World,
    tax: Tax,
    location_id: str,
    path: str,
) -> None:
    if tax.catalog_object_id is not None:
        entry = world.catalogue.find(c.Tax, tax.catalog_object_id)
        if entry is None or not entry.is_at(location_id):
            detail = f"Tax with catalog object ID `{tax.catalog_object_id}` not found."
            raise not_found(detail, f"{path}.catalog_object_id")
        tax.name = entry.name
        tax.percentage = entry.percentage
        tax.catalog_version = entry.version
        tax.type = entry.wire_type
    if not tax.name:
        raise missing(f"{path}.name")
    if tax.percentage is None:
        raise missing(f"{path}.percentage")
    tax.uid = tax.uid or world.new_uid()
    tax.type = tax.type or "ADDITIVE"
    tax.scope = tax.scope or "ORDER"


# --- what lines and charges refer to ---


def _check_references(order: Order) -> None:
    """Check that lines and charges refer to taxes and discounts of the order.

    spec: OrderLineItemAppliedTax, OrderLineItemAppliedDiscount.
    """
    tax_uids = {tax.uid for tax in order.taxes or ()}
    discount_uids = {discount.uid for discount in order.discounts or ()}
    for path, part in _parts(order):
        for place, tax in enumerate(part.applied_taxes or ()):
            if tax.tax_uid in tax_uids:
                continue
            field = f"{path}.applied_taxes[{place}].tax_uid"
            detail = f"There is no tax `{tax.tax_uid}`."
            raise bad_request("INVALID_VALUE", detail, field)
        if not isinstance(part, LineItem):
            continue
        for place, discount in enumerate(part.applied_discounts or ()):
            if discount.discount_uid in discount_uids:
                continue
            field = f"{path}.applied_discounts[{place}].discount_uid"
            detail = f"There is no discount `{discount.discount_uid}`."
            raise bad_request("INVALID_VALUE", detail, field)


def _parts(order: Order) -> Iterator[tuple[str, LineItem | ServiceCharge]]:
    """Yield the lines and the service charges, each with its path."""
    for index, line in enumerate(order.line_items or ()):
        path = f"order.line_items[{index}]"
        yield path, line
    for index, charge in enumerate(order.service_charges or ()):
        path = f"order.service_charges[{index}]"
        yield path, charge


def _remove_stale_adjustments(order: Order) -> None:
    """Remove automatic taxes, and the remains of adjustments that are gone.

    The remains are what an earlier pricing wrote. What an earlier pricing wrote has a uid. What the
    caller refers to may have none, and stays to be checked.
    """
    listed_taxes = [tax for tax in order.taxes or () if not tax.auto_applied]
    order.taxes = listed_taxes or None
    tax_uids = {tax.uid for tax in listed_taxes}
    discount_uids = {discount.uid for discount in order.discounts or ()}
    for _, part in _parts(order):
        taxes = [
            tax for tax in part.applied_taxes or () if tax.uid is None or tax.tax_uid in tax_uids
        ]
        part.applied_taxes = taxes or None
        if not isinstance(part, LineItem):
            continue
        discounts = [
            discount
            for discount in part.applied_discounts or ()
            if discount.uid is None or discount.discount_uid in discount_uids
        ]
        part.applied_discounts = discounts or None


# --- automatic taxes ---


def _apply_automatic_taxes(world: World, order: Order) -> None:
    added: dict[str, Tax] = {}
    for line in order.line_items or ():
        applied_taxes = list(line.applied_taxes or ())
        for entry in _taxes_for(world, line):
            if not entry.enabled:
                continue
            if not entry.is_at(order.location_id):
                continue
            if _is_blocked(line, entry):
                continue
            if entry.id not in added:
                added[entry.id] = _automatic_tax(world, entry)
            uid = added[entry.id].uid
            assert uid is not None
            applied_tax = AppliedTax(tax_uid=uid)
            applied_taxes.append(applied_tax)
            line.applied_taxes = applied_taxes
    # unconfirmed: whether automatic taxes join a taxable service charge. The spec says so of
    # ORDER-scoped taxes only, and these are scoped to lines; an order to the sandbox with a taxable
    # charge would show it.
    taxes = order.taxes or []
    order.taxes = [*taxes, *added.values()] or None


def _taxes_for(world: World, line: LineItem) -> list[c.Tax]:
    catalogue = world.catalogue
    catalog_id = line.catalog_object_id or ""
    variation = catalogue.find(c.Variation, catalog_id)
    if variation is None:
        all_taxes = catalogue.of(c.Tax)
        return [tax for tax in all_taxes if tax.on_custom_amounts]
    item = catalogue.get(c.Item, variation.item_id)
    if not item.is_taxable:
        return []
    taxes: list[c.Tax] = []
    for tax_id in item.tax_ids:
        tax = catalogue.find(c.Tax, tax_id)
        if tax is not None:
            taxes.append(tax)
    return taxes


def _is_blocked(line: LineItem, tax: c.Tax) -> bool:
    blocklists = line.pricing_blocklists
    if blocklists is None:
        return False
    blocked_taxes = blocklists.blocked_taxes or ()
    blocked_ids = {blocked.tax_catalog_object_id for blocked in blocked_taxes}
    return tax.id in blocked_ids


def _automatic_tax(world: World, entry: c.Tax) -> Tax:
    return Tax(
        uid=world.new_uid(),
        catalog_object_id=entry.id,
        catalog_version=entry.version,
        name=entry.name,
        percentage=entry.percentage,
        type=entry.wire_type,
        scope="LINE_ITEM",
        auto_applied=True,
    )
