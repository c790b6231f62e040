"""The settings of the simulated company.

They are its initial state, and how Kounta behaves where its documents are silent. Nothing here
changes while a simulator runs; what changes then is an action.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Paging = Literal["mixed", "next", "numbered"]
TaxRounding = Literal["line", "order"]
Halves = Literal["up", "even"]
CreatedBody = Literal["null", "empty", "resource"]
ErrorStyle = Literal["error_description", "error_message", "message", "error", "html"]


@dataclass(frozen=True, slots=True)
class KountaSettings:
    """The initial state and the behaviour.

    Limits are in requests a minute for each token; lags and lifetimes are in seconds;
    `utc_offset_hours` is the offset of the dates that Kounta writes.
    """

    currency: str = "AUD"
    utc_offset_hours: float = 10.0
    tax_rate: Decimal = Decimal("0.1")
    company_id: int = 5678
    site_id: int = 2301
    payment_method_id: int = 12
    access_token: str = "not-a-real-kounta-token"  # noqa: S105 - fake on purpose
    refresh_token: str = "not-a-real-kounta-refresh-token"  # noqa: S105 - fake on purpose
    client_id: str = "simulated-client"
    client_secret: str = "not-a-real-client-secret"  # noqa: S105 - fake on purpose
    redirect_uri: str = "http://localhost:8765/callback"
    webhook_secret: str = "not-a-real-webhook-secret"  # noqa: S105 - fake on purpose
    stocked: bool = True
    items: int = 0
    """How many ordinary products the menu begins with beside its usual ones."""
    first_order_id: int = 93824701
    """Set it above 2**53 to find code that reads ids as floats.

    Kounta's ids may have 64 bits.
    """

    token_lasts_seconds: float = 3600.0
    rotates_refresh_tokens: bool = True
    expired_token_status: int = 400
    """400 was seen (third-party tests); OAuth says 401."""

    oauth_limit: int = 180
    basic_limit: int = 60
    sends_retry_after: bool = False

    page_size: int = 25
    paging: Paging = "mixed"
    """Which lists carry `X-Next-Page`, and which `X-Pages`.

    `mixed`: orders and a site's products carry the former, other lists the latter. Otherwise all
    lists have one style.
    """

    order_lag_seconds: float = 0.0
    """How long a new order is missing from lists and searches."""
    get_lag_seconds: float = 0.0
    """How long a GET of a new order by its id answers 404."""
    created_body: CreatedBody = "null"
    """The body of a 201: `null`, empty, or the resource."""
    sends_location: bool = True
    total_in_single: bool = False
    lines_in_lists: bool = True
    taxes_in_lists: bool = False
    sale_id_is_sale_number: bool = False

    tax_rounding: TaxRounding = "line"
    halves: Halves = "up"
    """Where half a minor unit goes: away from zero, or to the even neighbour."""
    unit_price_decimals: int | None = None
    """The number of decimals of a sent price that Kounta keeps; None keeps all."""
    unit_price_covers_modifiers: bool = False
    """Whether a price that is sent with a line includes its modifiers."""

    default_status: str = "ON_HOLD"
    error_style: ErrorStyle = "error_description"
    refuses_unavailable: bool = True
    """Whether a line is refused whose product the site has marked as unavailable."""
    refuses_when_ordering_is_off: bool = False
    checks_option_sets: bool = False
    """Whether a line is refused with too few or too many choices from an option set."""
    redirects_to_customers: bool = True
    """Whether a search for one customer redirects to it (vendor's page) or returns it."""
