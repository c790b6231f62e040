"""How the simulated company begins, and how Kounta behaves where its documents leave room.

Everything here can be set, and nothing changes while a simulator runs: what changes then is an
action.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Paging = Literal["mixed", "next", "numbered"]
TaxRounding = Literal["line", "order"]
CreatedBody = Literal["null", "empty", "resource"]
ErrorStyle = Literal["error_description", "error_message", "message", "error", "html"]


@dataclass(frozen=True, slots=True)
class KountaSettings:
    """The world at its beginning.

    Limits are requests a minute and token; lags and lifetimes are seconds; `utc_offset_hours` is
    that of the dates that Kounta writes.
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
    first_order_id: int = 93824701
    """Raise it past 2**53 to find code that reads ids as floats: Kounta's may have 64 bits."""

    token_lasts_seconds: float = 3600.0
    rotates_refresh_tokens: bool = True
    expired_token_status: int = 400
    """400 was seen with the text about an expired token (third-party tests); 401 is what OAuth says."""

    oauth_limit: int = 180
    basic_limit: int = 60
    sends_retry_after: bool = False

    page_size: int = 25
    paging: Paging = "mixed"
    """`mixed`: orders and a site's products carry `X-Next-Page`, other lists `X-Pages`. Else one style for all."""

    order_lag_seconds: float = 0.0
    """How long a new order stays out of lists and searches."""
    get_lag_seconds: float = 0.0
    """How long a GET of a new order by its id answers 404."""
    created_body: CreatedBody = "null"
    """What a 201 holds: `null`, nothing at all, or the resource."""
    sends_location: bool = True
    total_in_single: bool = False
    lines_in_lists: bool = True
    taxes_in_lists: bool = False
    sale_id_is_sale_number: bool = False

    tax_rounding: TaxRounding = "line"
    unit_price_decimals: int | None = None
    """To how many decimals Kounta keeps a price that it is sent; None: all of them."""
    unit_price_covers_modifiers: bool = False
    """Whether a price that is sent on a line is meant for its modifiers too."""

    default_status: str = "ON_HOLD"
    error_style: ErrorStyle = "error_description"
    refuses_unavailable: bool = True
    """Whether a line with a product that its site marked as unavailable is refused."""
    refuses_when_ordering_is_off: bool = False
    checks_option_sets: bool = False
    """Whether a line with too few or too many choices from an option set is refused."""
    redirects_to_customers: bool = True
    """Whether a search for one customer redirects to it (vendor's page), or answers with it."""
