"""What Kounta's errors mean: they are free text, so the table goes by words. The first row that matches wins.

unconfirmed: the words of all but "not available at that site", "Pass-thru register ... is offline",
"The access token provided has expired", "invalid_token" and "Not Found", and the status of most; a
recorded refusal of each kind would tell. A 5xx is an outage whatever its words, since it proves
nothing.
"""

from __future__ import annotations

from tillpost.adapter import MenuError, PermissionsError, Row, errors

__all__ = ["TABLE"]

_SAID = (*range(200, 300), *range(400, 500))
_EXPIRED = r"\btoken\b.*\bexpired\b"
_INVALID = r"\btoken\b.*\binvalid\b|_token\b"
_DENIED = r"\bunauthori[sz]ed|\b(?:access|permission)\b.*\bdenied\b|\bpermissions?\b|\bnot (?:allowed|authori[sz]ed)\b"
_ITEM = r"\b(?:product|modifier|option)s?(?: id)?\W{0,4}(?P<item>[0-9]{1,20})\b"
_GONE = _ITEM + r".*\b(?:not available|not found|not exist|invalid)\b"
_OF_MENU = r"\b(?:products?|modifiers?|options?|option ?sets?|price ?lists?)\b"
_OF_SETUP = r"\b(?:payment methods?|method_id|sites?|company|content.type|register)\b"
_OF_ORDER = r"\b(?:customers?|guests|payments?|amount|sale_number|quantity|notes|in the past|\w+_at|dates?)\b"

TABLE = (
    Row(errors.RateLimitError, status=(429,)),
    Row(
        PermissionsError, status=_SAID, text=r"\bscopes?\b|\binsufficient_scope\b", reason="scopes"
    ),
    Row(PermissionsError, codes=frozenset({"invalid_grant"}), reason="withdrawn"),
    Row(PermissionsError, codes=frozenset({"invalid_client", "unauthorized_client"})),
    Row(PermissionsError, status=_SAID, text=r"\binvalid_grant\b", reason="withdrawn"),
    Row(PermissionsError, status=_SAID, text=r"\binvalid_client\b"),
    Row(PermissionsError, status=_SAID, text=_EXPIRED, reason="expired", refreshable=True),
    Row(PermissionsError, status=_SAID, text=_INVALID, refreshable=True),
    Row(PermissionsError, status=(401,), refreshable=True),
    Row(PermissionsError, status=_SAID, text=_DENIED, reason="demoted"),
    Row(PermissionsError, status=(403,), reason="demoted"),
    Row(errors.RegisterOfflineError, status=_SAID, text=r"\bregister\b.*\boffline\b"),
    Row(
        errors.StoreClosedError,
        status=_SAID,
        text=r"\bonline ordering\b|\bsite\b.*\b(?:closed|offline)\b",
    ),
    Row(
        MenuError, status=_SAID, text=_ITEM + r".*\b(?:sold out|out of stock)\b", reason="sold_out"
    ),
    Row(MenuError, status=_SAID, text=_GONE, reason="gone"),
    Row(errors.TaxError, status=_SAID, text=r"\btax(?:es)?\b"),
    Row(MenuError, status=_SAID, text=_ITEM),
    Row(MenuError, status=_SAID, text=_OF_MENU),
    Row(errors.SetupError, status=_SAID, text=_OF_SETUP),
    Row(errors.OrderError, status=_SAID, text=_OF_ORDER),
    Row(errors.SetupError, status=(404, 405, 406, 415)),
)
