"""Kounta's error table.

Kounta's errors are free text, so most rows match by a pattern over the text.

The first row that matches wins. Permissions come first, so that a bad token never causes a menu
import. Only some statuses are judged by their text; what proves nothing, such as a time-out or a
5xx, is an outage or a doubt whatever its text.

unconfirmed: the words of all but "not available at that site", "Pass-thru register ... is offline",
"The access token provided has expired", "invalid_token" and "Not Found", and the status of most; a
recorded refusal of each kind would show it.
"""

from __future__ import annotations

import re

from tillpost.adapter import (
    UNPROVEN_STATUSES,
    DoubtError,
    MenuError,
    OrderError,
    PermissionsError,
    RateLimitError,
    RegisterOfflineError,
    Row,
    SetupError,
    StoreClosedError,
    TaxError,
)

__all__ = ["TABLE", "speaks_of_oauth"]

_LONGEST_TEXT = 1_000
"""How many characters are searched.

The patterns would take the square of a text's length.
"""

# Kounta may report an error within a 200, so the rows that go by the text take that as well.
_REFUSALS = (200, *(status for status in range(400, 500) if status not in UNPROVEN_STATUSES))

_SCOPES = r"\bscopes?\b|\binsufficient_scope\b"
_EXPIRED = r"\btoken\b.*\bexpired\b"
_INVALID = r"\btoken\b.*\binvalid\b|_token\b"
_GRANT = r"\binvalid_grant\b"
_CLIENT = r"\binvalid_client\b"
_UNAUTHORIZED_CLIENT = r"\bunauthorized_client\b"
_DENIED = (
    r"\bunauthori[sz]ed|\b(?:access|permission)\b.*\bdenied\b|\bpermissions?\b"
    r"|\bnot (?:allowed|authori[sz]ed)\b"
)
_CLOSED = r"\bonline ordering\b|\bsite\b.*\b(?:closed|offline)\b"
_ITEM = r"\b(?:product|modifier|option)s?(?: id)?\W{0,4}(?P<item>[0-9]{1,20})\b"
_ITEM_SOLD_OUT = _ITEM + r".*\b(?:sold out|out of stock)\b"
_ITEM_GONE = _ITEM + r".*\b(?:not available|not found|not exist|invalid)\b"
_MENU = r"\b(?:products?|modifiers?|options?|option ?sets?|price ?lists?)\b"
_SETUP = r"\b(?:payment methods?|method_id|sites?|company|content.type|register)\b"
_CUSTOMER = r"\bcustomers?\b"
_DUE = r"\b(?:fulfil_at|in the past)\b"
_ORDER = r"\b(?:payments?|amount|sale_number|quantity|notes|\w+_at|dates?)\b"

TABLE = (
    Row(RateLimitError, status=(429,)),
    # What was accepted, is being done already, or conflicts with what exists: look it up.
    Row(DoubtError, status=(*range(201, 300), 409)),
    # Permissions
    Row(PermissionsError, status=_REFUSALS, text=_SCOPES, reason="scopes"),
    Row(PermissionsError, codes=frozenset({"invalid_grant"}), reason="withdrawn"),
    Row(PermissionsError, codes=frozenset({"invalid_client", "unauthorized_client"})),
    Row(PermissionsError, status=_REFUSALS, text=_GRANT, reason="withdrawn"),
    Row(PermissionsError, status=_REFUSALS, text=_CLIENT),
    Row(PermissionsError, status=_REFUSALS, text=_EXPIRED, reason="expired", refreshable=True),
    Row(PermissionsError, status=_REFUSALS, text=_INVALID, refreshable=True),
    # An expired token may be refused without a body, or in other words than OAuth's.
    # unconfirmed: that Kounta sends a 401 without a body; a recorded refusal would show it.
    Row(PermissionsError, status=(401,), refreshable=True, bodyless=True),
    Row(PermissionsError, status=_REFUSALS, text=_DENIED, reason="demoted"),
    Row(PermissionsError, status=(403,), reason="demoted"),
    # The store
    Row(RegisterOfflineError, status=_REFUSALS, text=r"\bregister\b.*\boffline\b"),
    Row(StoreClosedError, status=_REFUSALS, text=_CLOSED),
    # The menu
    Row(MenuError, status=_REFUSALS, text=_ITEM_SOLD_OUT, reason="sold_out"),
    Row(MenuError, status=_REFUSALS, text=_ITEM_GONE, reason="gone"),
    Row(TaxError, status=_REFUSALS, text=r"\btax(?:es)?\b"),
    Row(MenuError, status=_REFUSALS, text=_ITEM),
    Row(MenuError, status=_REFUSALS, text=_MENU),
    # The connection and the order
    Row(SetupError, status=_REFUSALS, text=_SETUP),
    Row(OrderError, status=_REFUSALS, text=_CUSTOMER, order_field="customer"),
    Row(OrderError, status=_REFUSALS, text=_DUE, reason="late", order_field="due_at"),
    Row(OrderError, status=_REFUSALS, text=r"\bguests\b", order_field="fulfilment.guests"),
    Row(OrderError, status=_REFUSALS, text=_ORDER),
    Row(SetupError, status=(404, 405, 406, 415)),
)

_OAUTH = re.compile(
    "|".join((_SCOPES, _EXPIRED, _INVALID, _GRANT, _CLIENT, _UNAUTHORIZED_CLIENT)), re.IGNORECASE
)


def speaks_of_oauth(text: str) -> bool:
    """Return whether a text is about a token, a scope, a grant or a client."""
    return _OAUTH.search(text[:_LONGEST_TEXT]) is not None
