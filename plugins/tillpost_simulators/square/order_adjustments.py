"""An order's discounts, service charges and taxes before they are priced: complete, consistent, and the automatic ones.

With `pricing_options.auto_apply_taxes`, a catalogue line gets the taxes of its item, and an ad hoc
line those that apply to custom amounts (developer documentation: Apply catalog taxes). Taxes that
the request lists come on top, even the same one a second time; that too is documented.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    """Checks the adjustments of `order`, fills in what they leave open, and adds the automatic taxes."""
    for index, discount in enumerate(order.discounts or ()):
        _complete_discount(world, discount, f"order.discounts[{index}]")
    for index, charge in enumerate(order.service_charges or ()):
        _complete_charge(world, charge, f"order.service_charges[{index}]")
    _forget_what_has_gone(order)
    for index, tax in enumerate(order.taxes or ()):
        _complete_tax(world, tax, order.location_id, f"order.taxes[{index}]")
    _check_uids(order)
    if order.pricing_options is not None and order.pricing_options.auto_apply_taxes:
        _apply_automatic_taxes(world, order)


def _complete_discount(world: World, discount: Discount, path: str) -> None:
    if discount.catalog_object_id is not None:
        # The simulated catalogue holds no discounts.
        detail = f"Discount with catalog object ID `{discount.catalog_object_id}` not found."
        raise not_found(detail, f"{path}.catalog_object_id")
    if not discount.name:
        raise missing(f"{path}.name")
    _check_one_of(world, discount.percentage, discount.amount_money, path)
    kind: Literal["FIXED_PERCENTAGE", "FIXED_AMOUNT"] = (
        "FIXED_PERCENTAGE" if discount.percentage else "FIXED_AMOUNT"
    )
    if discount.type not in (None, kind):
        raise bad_request(
            "INVALID_VALUE", f"A discount of this kind has the type {kind}.", f"{path}.type"
        )
    discount.type = kind
    discount.uid = discount.uid or world.new_uid()
    # unconfirmed: the scope of a discount or a tax that names none; a sandbox order would tell.
    discount.scope = discount.scope or "ORDER"


def _complete_charge(world: World, charge: ServiceCharge, path: str) -> None:
    """spec: OrderServiceCharge. A charge has a name, one of two amounts, and a phase."""
    if charge.catalog_object_id is not None:
        detail = f"Service charge with catalog object ID `{charge.catalog_object_id}` not found."
        raise not_found(detail, f"{path}.catalog_object_id")
    if not charge.name:
        raise missing(f"{path}.name")
    _check_one_of(world, charge.percentage, charge.amount_money, path)
    if charge.calculation_phase is None:
        raise missing(f"{path}.calculation_phase")
    if charge.calculation_phase == "TOTAL_PHASE" and charge.taxable:
        raise bad_request(
            "INVALID_VALUE",
            "A service charge of the TOTAL_PHASE can't be taxable.",
            f"{path}.taxable",
        )
    apportioned = charge.calculation_phase.startswith("APPORTIONED")
    if apportioned != (charge.treatment_type == "APPORTIONED_TREATMENT"):
        # unconfirmed: whether the phase alone is enough for an apportioned charge; a sandbox order
        # would tell.
        detail = "The treatment type doesn't fit the calculation phase."
        raise bad_request("INVALID_VALUE", detail, f"{path}.treatment_type")
    charge.uid = charge.uid or world.new_uid()
    charge.type = charge.type or "CUSTOM"
    charge.treatment_type = charge.treatment_type or "LINE_ITEM_TREATMENT"
    charge.taxable = bool(charge.taxable)
    if apportioned:
        charge.scope = charge.scope or "ORDER"


def _check_one_of(world: World, percentage: str | None, amount: Money | None, path: str) -> None:
    if (percentage is None) == (amount is None):
        detail = "Exactly one of `percentage` and `amount_money` must be set."
        raise bad_request("BAD_REQUEST", detail, f"{path}.amount_money")
    world.check_currency(amount, f"{path}.amount_money")
    if amount is not None and amount.amount < 0:
        raise bad_request(
            "VALUE_TOO_LOW", "The amount must not be negative.", f"{path}.amount_money.amount"
        )


def _complete_tax(world: World, tax: Tax, location_id: str, path: str) -> None:
    if tax.catalog_object_id is not None:
        known = world.catalogue.find(c.Tax, tax.catalog_object_id)
        if known is None or not known.is_at(location_id):
            detail = f"Tax with catalog object ID `{tax.catalog_object_id}` not found."
            raise not_found(detail, f"{path}.catalog_object_id")
        tax.name, tax.percentage, tax.catalog_version = known.name, known.percentage, known.version
        tax.type = "INCLUSIVE" if known.inclusive else "ADDITIVE"
    if not tax.name:
        raise missing(f"{path}.name")
    if tax.percentage is None:
        raise missing(f"{path}.percentage")
    tax.uid = tax.uid or world.new_uid()
    tax.type = tax.type or "ADDITIVE"
    tax.scope = tax.scope or "ORDER"


def _check_uids(order: Order) -> None:
    """What a line or a charge refers to must be among the order's own (spec: OrderLineItemAppliedTax and the like)."""
    taxes = {tax.uid for tax in order.taxes or ()}
    discounts = {discount.uid for discount in order.discounts or ()}
    parts: Sequence[tuple[str, LineItem | ServiceCharge]] = [
        *(
            (f"order.line_items[{index}]", line)
            for index, line in enumerate(order.line_items or ())
        ),
        *(
            (f"order.service_charges[{index}]", charge)
            for index, charge in enumerate(order.service_charges or ())
        ),
    ]
    for path, part in parts:
        for place, applied in enumerate(part.applied_taxes or ()):
            if applied.tax_uid not in taxes:
                field = f"{path}.applied_taxes[{place}].tax_uid"
                raise bad_request("INVALID_VALUE", f"There is no tax `{applied.tax_uid}`.", field)
        if isinstance(part, LineItem):
            for place, taken in enumerate(part.applied_discounts or ()):
                if taken.discount_uid not in discounts:
                    field = f"{path}.applied_discounts[{place}].discount_uid"
                    raise bad_request(
                        "INVALID_VALUE", f"There is no discount `{taken.discount_uid}`.", field
                    )


def _forget_what_has_gone(order: Order) -> None:
    """Takes off the taxes that an earlier pricing put on, and what it wrote of adjustments that have gone since.

    What an earlier pricing wrote bears a uid; what the caller refers to doesn't have to, and stays
    to be checked.
    """
    order.taxes = [tax for tax in order.taxes or () if not tax.auto_applied] or None
    taxes = {tax.uid for tax in order.taxes or ()}
    discounts = {discount.uid for discount in order.discounts or ()}
    for part in (*(order.line_items or ()), *(order.service_charges or ())):
        part.applied_taxes = [
            a for a in part.applied_taxes or () if a.uid is None or a.tax_uid in taxes
        ] or None
        if isinstance(part, LineItem):
            taken = [
                a
                for a in part.applied_discounts or ()
                if a.uid is None or a.discount_uid in discounts
            ]
            part.applied_discounts = taken or None


def _apply_automatic_taxes(world: World, order: Order) -> None:
    added: dict[str, Tax] = {}
    for line in order.line_items or ():
        for known in _taxes_for(world, line):
            if not known.enabled or not known.is_at(order.location_id) or _blocked(line, known.id):
                continue
            if known.id not in added:
                added[known.id] = _automatic(world, known)
            uid = added[known.id].uid
            assert uid is not None
            line.applied_taxes = [*(line.applied_taxes or []), AppliedTax(tax_uid=uid)]
    # unconfirmed: whether automatic taxes join a taxable service charge. The spec says so of
    # ORDER-scoped taxes only, and these are scoped to lines; an order to the sandbox with a taxable
    # charge would tell.
    order.taxes = [*(order.taxes or []), *added.values()] or None


def _taxes_for(world: World, line: LineItem) -> list[c.Tax]:
    catalogue = world.catalogue
    variation = catalogue.find(c.Variation, line.catalog_object_id or "")
    if variation is None:
        return [tax for tax in catalogue.of(c.Tax) if tax.on_custom_amounts]
    item = catalogue.get(c.Item, variation.item_id)
    found = (catalogue.find(c.Tax, tax_id) for tax_id in (item.tax_ids if item.is_taxable else ()))
    return [tax for tax in found if tax is not None]


def _blocked(line: LineItem, tax_id: str) -> bool:
    blocked = line.pricing_blocklists.blocked_taxes if line.pricing_blocklists else None
    return any(block.tax_catalog_object_id == tax_id for block in blocked or ())


def _automatic(world: World, known: c.Tax) -> Tax:
    return Tax(
        uid=world.new_uid(),
        catalog_object_id=known.id,
        catalog_version=known.version,
        name=known.name,
        percentage=known.percentage,
        type="INCLUSIVE" if known.inclusive else "ADDITIVE",
        scope="LINE_ITEM",
        auto_applied=True,
    )
