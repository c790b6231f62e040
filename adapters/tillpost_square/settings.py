"""What a connection to one Square location needs, and how its orders are to look at the register.

`Till.connect("square", ...)` takes these fields. Only `access_token` and `location_id` have no
default.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints, field_validator

from tillpost.adapter import AdapterSettings, LookUpPauses

__all__ = ["PRODUCTION", "SANDBOX", "SquareSettings"]

PRODUCTION = "https://connect.squareup.com"
SANDBOX = "https://connect.squareupsandbox.com"


class SquareSettings(AdapterSettings):
    """The settings of a Square connection.

    Attributes: access_token: the store's OAuth access token, or a personal one of its own developer
        account. location_id: the location that gets the orders; one connection is one location.
        base_url: `PRODUCTION` by default; `SANDBOX` for Square's own test accounts. square_version:
        the API version that every request is pinned to, as `YYYY-MM-DD`. source_name: what staff
        see as the order's and the payment's origin; 1 to 255 characters. delivery_as_pickup: send a
        delivery as a pickup with the address in its note. The Point of Sale doesn't show a DELIVERY
        fulfilment without a partnership with Square (developer documentation: Orders API,
        fulfilments). tips: `payment` puts the tip on the payment, so that it goes to the
        restaurant's own staff; `service_charge` makes it a service charge, for outside couriers,
        since tips of payments go into the team's pool. auto_apply_taxes: let Square apply the
        catalogue's taxes, so that the register's tax report is right. prep_minutes: how long an
        order that is due as soon as possible takes, in minutes; None leaves it to Square, except
        for a real DELIVERY, which needs it and then says 30. look_after: when to look for an order
        that may be there, in seconds, each counted from the look before.
    """

    base_url: str = PRODUCTION
    access_token: SecretStr = Field(default=SecretStr(""), validate_default=True)
    location_id: Annotated[
        str, StringConstraints(min_length=1, max_length=50, pattern=r"^[\x21-\x7e]+$")
    ]
    square_version: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")] = "2025-08-20"
    source_name: Annotated[
        str, StringConstraints(min_length=1, max_length=255, strip_whitespace=True)
    ] = "Online order"
    delivery_as_pickup: bool = True
    tips: Literal["payment", "service_charge"] = "payment"
    auto_apply_taxes: bool = True
    prep_minutes: Annotated[int, Field(ge=1, le=10_080)] | None = None
    look_after: LookUpPauses = (1.0, 3.0, 10.0)

    @field_validator("access_token")
    @classmethod
    def _given(cls, token: SecretStr) -> SecretStr:
        if not token.get_secret_value().strip():
            raise ValueError("must not be empty")
        return token
