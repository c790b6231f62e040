"""The settings of a connection to one Square location.

`Till.connect("square", ...)` takes these fields. Only `access_token` and `location_id` have no
default.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints, field_validator

from tillpost.adapter import WHICH_STORE, AdapterSettings, LookUpPauses

__all__ = ["PRODUCTION", "SANDBOX", "SquareSettings"]

PRODUCTION = "https://connect.squareup.com"
SANDBOX = "https://connect.squareupsandbox.com"


class SquareSettings(AdapterSettings):
    """The settings of a connection to one Square location."""

    base_url: str = PRODUCTION
    """The address of Square's API.

    Use https://connect.squareupsandbox.com for test accounts. It must be https; plain http is
    allowed on this machine only.
    """

    access_token: SecretStr = Field(default=SecretStr(""), validate_default=True)
    """The store's OAuth access token.

    The personal one of your own developer account will do as well.
    """

    location_id: Annotated[
        str,
        WHICH_STORE,
        StringConstraints(min_length=1, max_length=50, pattern=r"^[\x21-\x7e]+$"),
    ]
    """The id of the location that gets the orders. One connection is one location."""

    merchant_id: Annotated[str, StringConstraints(max_length=255)] = ""
    """The id of the merchant that owns the location.

    If it is set, webhooks about another merchant are ignored: one subscription sends those of all
    merchants of your application.
    """

    square_version: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")] = "2025-08-20"
    """The API version that every request is pinned to, as YYYY-MM-DD."""

    source_name: Annotated[
        str, StringConstraints(min_length=1, max_length=255, strip_whitespace=True)
    ] = "Online order"
    """What staff see as the origin of the order and of its payment."""

    # The source of the partnership: developer documentation, Orders API, fulfilments.
    delivery_as_pickup: bool = True
    """Whether to send a delivery as a pickup with the address in its note.

    The Point of Sale shows real deliveries only to partners of Square.
    """

    tips: Literal["payment", "service_charge"] = "payment"
    """Where a tip goes. `payment` puts it on the payment, and so into the team's tips.
    `service_charge` makes it a service charge, for example for outside couriers."""

    auto_apply_taxes: bool = True
    """Whether Square applies the catalogue's taxes.

    If it does, the register's tax report is right.
    """

    prep_minutes: Annotated[int, Field(ge=1, le=10_080)] | None = None
    """Minutes that an order takes which is due as soon as possible.

    Without it Square decides; a real delivery, which needs it, then gets 30.
    """

    look_after: LookUpPauses = (1.0, 3.0, 10.0)
    """When to look up an order that may exist.

    The pauses are in seconds, each after the look-up before.
    """

    @field_validator("access_token")
    @classmethod
    def _given(cls, token: SecretStr) -> SecretStr:
        if not token.get_secret_value().strip():
            raise ValueError("must not be empty")
        return token
