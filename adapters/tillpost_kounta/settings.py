"""The settings of a connection to one Kounta site.

What its staff check at the register is here too. `Till.connect("kounta", ...)` takes these fields.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from tillpost.adapter import (
    WHICH_STORE,
    Actor,
    AdapterSettings,
    LookUpPauses,
    Seconds,
    StepText,
    SubstituteProducts,
)

__all__ = ["REGISTER_STEPS", "KountaSettings"]

KountaId = Annotated[str, Field(pattern=r"^[0-9]{1,20}$", coerce_numbers_to_str=True)]


class KountaSettings(SubstituteProducts, AdapterSettings):
    """The settings of a connection to one Kounta site."""

    base_url: str = "https://api.kounta.com"
    """The address of Kounta's API, without `/v1`.

    It must be https; plain http is allowed on this machine only.
    """

    access_token: SecretStr = Field(default=SecretStr(""), min_length=1, validate_default=True)
    """The company's OAuth access token."""

    company_id: Annotated[KountaId, WHICH_STORE]
    """The company's id at Kounta."""

    site_id: Annotated[KountaId, WHICH_STORE]
    """The id of the site that gets the orders. One connection is one site."""

    payment_method_id: KountaId
    """The id of the company's payment method for "paid online"."""

    attention_product: KountaId | None = None
    """The id of a product without a price, for attention tickets.

    Such a ticket spells out an order which Kounta refused. Without the id there are no such
    tickets.
    """

    prices_include_tax: bool = True
    """Whether the menu's prices include tax, as the prices of your orders do.

    Kounta's own never do.
    """

    status: Literal["SUBMITTED", "ON_HOLD", "PENDING"] = "SUBMITTED"
    """The state in which orders arrive.

    With SUBMITTED the register chimes, and staff accept or reject the order; ON_HOLD and PENDING
    are silent.
    """

    pass_thru_printing: bool = False
    """Whether dockets are printed without a touch on the register.

    The site's printing register must be online for that.
    """

    callback_uri: str | None = None
    """The address that Kounta calls when an order's status changes."""

    check_first: bool = True
    """Whether to ask before each order if the site takes orders.

    It costs one request of the rate limit.
    """

    import_pace: Seconds = 0.25
    """Seconds to wait after each answer during a menu import.

    An import needs one or two requests for each product.
    """

    look_after: LookUpPauses = (5.0, 3.0, 3.0, 5.0)
    """When to look up an order that may exist.

    The pauses are in seconds, each after the look-up before.
    """


REGISTER_STEPS = (
    StepText(
        Actor.STORE,
        "The Kounta app on an iPad sometimes stops fetching online orders although it looks fine. "
        "Sync the register from the Back Office: open Sites, then Devices, and sync it while no "
        "sale is open on it.",
        "The register is shown as online, with a sync time of just now, and the order appears.",
    ),
    StepText(
        Actor.STORE,
        "If it happens again, update the Kounta app on every device at the site, not only on this "
        "one.",
        "All devices at the site show the same, newest version of the app.",
    ),
    StepText(
        Actor.SUPPORT,
        "If it still happens, ask Lightspeed's support to check the site's network. The app keeps "
        "a websocket open to hear of new orders, and that connection is what breaks.",
        "They confirm that the site's devices stay connected.",
    ),
)
"""Steps that are added to the common checklist.

That registers are synced from the Back Office's page of devices, and only while they aren't in use,
is the vendor's own (help page: Sync Registers from Back Office). The fault is known from sites.

unconfirmed: that such a sync makes an app that has lost its websocket fetch online orders too;
trying it at a site with the fault would show it.
"""
