"""Every refusal as a typed error that says who must act, and how.

Each class is one kind of remedy, because that is what a caller branches on. An adapter (or its
error table) says what the platform said; core fills in the rest: which order, which operation, and
above all `outcome`, what is known of the order after all that was sent for it. Nothing here holds a
credential.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar

from tillpost.errors.remedies import MENU_IMPORTED, REMEDIES, Remedy, fill
from tillpost.models.base import FrozenModel
from tillpost.models.order import PosOrder

__all__ = [
    "Applied",
    "ConfigError",
    "DoubtError",
    "ErrorRecord",
    "KeyRetiredError",
    "MenuError",
    "OrderError",
    "OutageError",
    "Outcome",
    "PermissionsError",
    "PosError",
    "RateLimitError",
    "RegisterOfflineError",
    "SetupError",
    "StoreClosedError",
    "TaxError",
    "Transcript",
    "UnknownPosError",
    "UnsupportedError",
    "error_named",
]


class Applied(StrEnum):
    """What became of one request at the platform."""

    NO = "no"
    MAYBE = "maybe"
    YES = "yes"


class Outcome(StrEnum):
    """What is known of the order, over everything that was sent for it.

    `UNKNOWN` covers an order that may be there and one that is there half done. `CREATED` means
    that it is there, and must not be sent again.
    """

    NOT_CREATED = "not_created"
    CREATED = "created"
    UNKNOWN = "unknown"


class Transcript(FrozenModel):
    """A redacted copy of one exchange, to hand to the provider's support desk.

    Every text that the adapter hasn't declared public is masked; credentials were never in it.
    """

    method: str
    path: str
    request_body: str = ""
    status_code: int | None = None
    response_body: str = ""
    request_id: str = ""
    fault: str = ""


class ErrorRecord(FrozenModel):
    """A `PosError` as plain data: what a journal keeps and `--json` prints. `PosError.from_record` gives it back."""

    kind: str
    detail: str
    platform: str = ""
    title: str = ""
    operation: str = ""
    code: str = ""
    status_code: int | None = None
    lines: tuple[int, ...] = ()
    subjects: tuple[str, ...] = ()
    reason: str = ""
    request_id: str = ""
    applied: Applied = Applied.NO
    outcome: Outcome = Outcome.NOT_CREATED
    retry_after: float | None = None
    refreshable: bool = False
    menu_imported: bool = False
    support_contact: str = ""
    granted_by: str = ""
    pos_order: PosOrder | None = None
    exchange: Transcript | None = None


MOST_NAMED = 5
"""How many lines or items an error's one line names."""


class PosError(Exception):
    """A platform refused, failed or couldn't be reached. Catch a subclass to act on one kind of remedy.

    Attributes: platform, title: the platform's name in code ("square") and for people ("Square").
        operation: what was being done ("submit", "import_menu", ...). code, detail: as the platform
        gave them; `status_code` is the HTTP status, None when nothing came back. lines: zero-based
        indices of the order's lines at fault; `subjects` name them for people, counting from 1.
        reason: which of the class's remedies applies ("sold_out", ...); empty for the general one.
        request_id: the platform's own mark of the request, for its support desk. applied: what
        became of the request that failed; `outcome`: what is known of the order. Core sets the
        latter. transient: worth trying again unchanged. `retry_after`: how many seconds the
        platform asked to wait. refreshable: a fresh access token would mend it. granted_by: who let
        us in at the platform, where that is known. menu_imported: the menu was imported again
        because of this order, and that didn't mend it. pos_order: the order at the platform, where
        one exists. exchange: a redacted copy of the exchange that failed; `sends` counts how often
        its request was sent.
    """

    transient: ClassVar[bool] = False
    default_remedy: ClassVar[str] = "unknown"

    def __init__(
        self,
        detail: str = "",
        *,
        code: str = "",
        status_code: int | None = None,
        lines: Sequence[int] = (),
        subjects: Sequence[str] = (),
        reason: str = "",
        applied: Applied = Applied.NO,
        retry_after: float | None = None,
        refreshable: bool = False,
        pos_order: PosOrder | None = None,
    ) -> None:
        self.detail = _storable(detail)
        super().__init__(self.detail)
        self.code = _storable(code)
        self.status_code = status_code
        self.lines = tuple(lines)
        self.subjects = tuple(subjects)
        self.reason = reason
        self.applied = applied
        self.retry_after = retry_after
        self.refreshable = refreshable
        self.pos_order = pos_order
        # Core fills in what follows.
        self.platform = ""
        self.title = ""
        self.operation = ""
        self.request_id = ""
        self.outcome = Outcome.NOT_CREATED
        self.menu_imported = False
        self.support_contact = ""
        self.granted_by = ""
        self.sends = 1
        self.exchange: Transcript | None = None

    @property
    def remedy(self) -> Remedy:
        """What to do about it and who does it, in a sentence for a restaurant manager and one for a developer."""
        pattern = (
            REMEDIES.get(f"{self.default_remedy}.{self.reason}") or REMEDIES[self.default_remedy]
        )
        return fill(
            pattern,
            platform=self.title or self.platform or "the POS",
            subjects=self.subjects,
            detail=self.detail,
            imported=MENU_IMPORTED if self.menu_imported else "",
            contact=self.support_contact,
            granted_by=self.granted_by,
        )

    def record(self) -> ErrorRecord:
        """Return the error as plain data."""
        known = {name: getattr(self, name) for name in ErrorRecord.model_fields if name != "kind"}
        return ErrorRecord(kind=type(self).__name__, **known)

    @staticmethod
    def from_record(record: ErrorRecord) -> PosError:
        """Return the error that `record` was made from; one of a kind unknown here comes back as `UnknownPosError`."""
        error = error_named(record.kind)(record.detail)
        for name in ErrorRecord.model_fields:
            if name not in ("kind", "detail"):
                setattr(error, name, getattr(record, name))
        return error

    def __str__(self) -> str:
        """One line that a support person can read."""
        return f"{self.said} (order {self.outcome})"

    @property
    def said(self) -> str:
        """The same line without what became of the order, for what isn't about one."""
        where = " ".join(part for part in (self.title or self.platform, self.operation) if part)
        said = " ".join(str(part) for part in (self.status_code, self.code, self.detail) if part)
        named = [*self.subjects[:MOST_NAMED], *(["..."] if len(self.subjects) > MOST_NAMED else [])]
        about = f" [{', '.join(named)}]" if named else ""
        return f"{where + ': ' if where else ''}{said or type(self).__name__}{about}"

    def __repr__(self) -> str:
        """The class with what matters in a log."""
        names = (
            "platform",
            "operation",
            "status_code",
            "code",
            "detail",
            "lines",
            "outcome",
            "request_id",
        )
        shown = {name: getattr(self, name) for name in names}
        facts = ", ".join(
            f"{k}={v!s}" if k == "outcome" else f"{k}={v!r}" for k, v in shown.items() if v
        )
        return f"{type(self).__name__}({facts})"


class MenuError(PosError):
    """The order and the store's menu don't fit: an item or option is gone, elsewhere, sold out, or priced otherwise."""

    default_remedy = "menu"


class OutageError(PosError):
    """The platform couldn't be reached, failed, or gave no usable answer."""

    transient = True
    default_remedy = "outage"


class RateLimitError(OutageError):
    """Too many requests for now. `retry_after` says for how long, in seconds, where the platform does."""

    default_remedy = "rate_limit"


class RegisterOfflineError(OutageError):
    """The platform is up, but the store's register isn't connected to it."""

    default_remedy = "register_offline"


class DoubtError(OutageError):
    """It isn't known whether an earlier request made the order, so nothing more may be sent before looking."""

    default_remedy = "doubt"


class PermissionsError(PosError):
    """The platform no longer lets us in, or lets us do too little."""

    default_remedy = "permissions"


class TaxError(PosError):
    """The store's taxes don't fit the order: more than one applies, or one serves as a surcharge."""

    default_remedy = "tax"


class StoreClosedError(PosError):
    """The store takes no online orders now."""

    default_remedy = "store_closed"


class OrderError(PosError):
    """The platform refuses this order itself: a time in the past, the customer, the payment."""

    default_remedy = "order"


class SetupError(PosError):
    """Our own connection is set up wrongly: the location, a payment method, a mapping."""

    default_remedy = "setup"


class UnknownPosError(PosError):
    """None of the kinds we know. The platform's words are kept."""


class KeyRetiredError(PosError):
    """An adapter's signal to core: the order made under this attempt's key is cancelled for good; use a new key."""


class UnsupportedError(PosError):
    """The platform's adapter doesn't have this operation (see `Adapter.capabilities`)."""

    default_remedy = "unsupported"


class ConfigError(ValueError):
    """A connection can't be made from these settings. The text is one line that names the setting."""


def _storable(text: str) -> str:
    """Return a platform's text without lone surrogates, which JSON may smuggle in and no journal can keep."""
    return text.encode("utf-8", "replace").decode()


def error_named(kind: str) -> type[PosError]:
    """Return the error class of that name; `UnknownPosError` when there is none."""
    return _KINDS.get(kind, UnknownPosError)


_KINDS: dict[str, type[PosError]] = {
    kind.__name__: kind
    for kind in (
        PosError,
        MenuError,
        OutageError,
        RateLimitError,
        RegisterOfflineError,
        DoubtError,
        PermissionsError,
        TaxError,
        StoreClosedError,
        OrderError,
        SetupError,
        UnknownPosError,
        KeyRetiredError,
        UnsupportedError,
    )
}
