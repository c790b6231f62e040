"""What a connection to one Kounta site needs. `Till.connect("kounta", ...)` takes these fields."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from tillpost.adapter import Actor, AdapterSettings, Looks, Seconds, StepText, SubstituteProducts

__all__ = ["REGISTER_STEPS", "KountaSettings"]

KountaId = Annotated[str, Field(pattern=r"^[0-9]{1,20}$", coerce_numbers_to_str=True)]


class KountaSettings(SubstituteProducts, AdapterSettings):
    """The settings of a Kounta connection, beside the products of `SubstituteProducts` for charges, discounts and tips.

    Attributes: payment_method_id: the company's payment method that stands for "paid online".
        attention_product: a product without a price, for a ticket that spells out an order which
        can't go in. prices_include_tax: whether the menu's prices hold the tax, as the orders' do;
        Kounta's own never do. status: how orders arrive. SUBMITTED chimes, and staff accept or
        reject; ON_HOLD and PENDING are quiet. pass_thru_printing: print dockets without a touch,
        for which the site's printing register must be online. callback_uri: where Kounta is to tell
        that an order's status has changed. check_first: ask whether the site takes orders before
        each one; costs a request of the token's rate budget. import_pace, look_after: as in
        `Adapter`. An import needs one or two requests for each product.
    """

    base_url: str = "https://api.kounta.com"
    access_token: SecretStr = Field(default=SecretStr(""), min_length=1, validate_default=True)
    company_id: KountaId
    site_id: KountaId
    payment_method_id: KountaId
    attention_product: KountaId | None = None
    prices_include_tax: bool = True
    status: Literal["SUBMITTED", "ON_HOLD", "PENDING"] = "SUBMITTED"
    pass_thru_printing: bool = False
    callback_uri: str | None = None
    check_first: bool = True
    import_pace: Seconds = 0.25
    look_after: Looks = (5.0, 3.0, 3.0, 5.0)


REGISTER_STEPS = (
    StepText(
        Actor.STORE,
        "On an iPad the Kounta app is known to stop fetching online orders while it looks fine. Force a sync from the "
        "Back Office: Sites, Devices, then sync the register, while no sale is under way on it.",
        "The register is shown as online, with a sync time of just now, and the order appears.",
    ),
    StepText(
        Actor.STORE,
        "If it stops again, update the Kounta app on every device at the site, not only on this one.",
        "All devices at the site show the same, newest version of the app.",
    ),
    StepText(
        Actor.SUPPORT,
        "If it lasts even so, ask Lightspeed's support to review the site's connectivity: the app keeps a websocket "
        "open, by which it hears of new orders, and that is what breaks.",
        "They confirm that the site's devices stay connected.",
    ),
)
"""Beside the common checklist. That registers are synced from the Back Office's page of devices, only while they aren't
in use, is the vendor's own (help page: Sync Registers from Back Office); the fault itself is known from other sites.

unconfirmed: that such a sync makes an app that has lost its websocket fetch online orders too;
trying it at a site with the fault would tell. """
