"""Typed errors: what a platform refused, whose problem it is, and what to do.

Each class is one kind of remedy, because that is what a caller branches on. An adapter or its error
table raises them with what the platform answered. Core then adds the context: platform, operation,
the exchange, and `outcome`, which says whether the order exists after all requests sent for it.
No error holds a credential.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar

from tillpost.errors.remedies import (
    HAS_ORDER,
    MAY_EXIST,
    MENU_IMPORTED,
    NOT_THERE,
    REMEDIES,
    Remedy,
    fill,
)
from tillpost.models.base import LONGEST_WORDS, FrozenModel, OutsideWords
from tillpost.models.order import PosOrder
from tillpost.models.safe_text import plain

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
    "UnreadableConfigError",
    "UnsupportedError",
    "error_named",
]


class Applied(StrEnum):
    """Whether the platform carried out one request."""

    NO = "no"
    MAYBE = "maybe"
    YES = "yes"


class Outcome(StrEnum):
    """Whether the order exists at the platform, over all requests sent for it.

    Attributes:
        NOT_CREATED: The order doesn't exist.
        CREATED: The order exists and must not be sent again.
        UNKNOWN: The order may exist, possibly half done.
    """

    NOT_CREATED = "not_created"
    CREATED = "created"
    UNKNOWN = "unknown"


_WHEREABOUTS = {
    Outcome.NOT_CREATED: NOT_THERE,
    Outcome.CREATED: HAS_ORDER,
    Outcome.UNKNOWN: MAY_EXIST,
}


_SENDING_NOTHING = frozenset({"fetch", "cancel"})
"""Operations on an order that was sent before."""


class Transcript(FrozenModel):
    """A redacted copy of one exchange, for the provider's support desk.

    Texts that the adapter doesn't declare public are masked. Credentials are never part of it.
    """

    method: str
    path: str
    request_body: str = ""
    status_code: int | None = None
    response_body: str = ""
    request_id: OutsideWords = ""
    fault: str = ""


class ErrorRecord(FrozenModel):
    """A `PosError` as plain data, as the journal stores it and `--json` prints it.

    `PosError.from_record` turns it back into the error.
    """

    kind: OutsideWords
    detail: OutsideWords
    platform: OutsideWords = ""
    title: OutsideWords = ""
    operation: OutsideWords = ""
    code: OutsideWords = ""
    status_code: int | None = None
    lines: tuple[int, ...] = ()
    subjects: tuple[OutsideWords, ...] = ()
    reason: OutsideWords = ""
    order_field: OutsideWords = ""
    request_id: OutsideWords = ""
    applied: Applied = Applied.NO
    outcome: Outcome = Outcome.NOT_CREATED
    retry_after: float | None = None
    refreshable: bool = False
    menu_imported: bool = False
    concerns_order: bool = True
    support_contact: str = ""
    granted_by: OutsideWords = ""
    pos_order: PosOrder | None = None
    exchange: Transcript | None = None


LONGEST_CODE = 200
"""Characters of a code or of a subject's name that an error keeps."""

MAX_SUBJECTS = 5
"""How many lines or items `PosError.summary` names at most."""


def _number_of_seconds(seconds: float | None) -> float | None:
    """Return the seconds, or None if an adapter has read no number of seconds."""
    return seconds if seconds is not None and math.isfinite(seconds) else None


class PosError(Exception):
    """An operation at the platform was refused, failed, or got no answer.

    Catch a subclass to act on one kind of remedy.

    Attributes:
        transient: Whether retrying the operation unchanged may help.
        platform: The platform's name in code, such as "square".
        title: The platform's name for people, such as "Square".
        operation: The operation that failed, such as "submit" or "import_menu".
        code: The error code, as the platform gave it.
        detail: The error message, as the platform gave it, on one line of at most 1,000 characters.
        status_code: The HTTP status; None when there was no answer.
        lines: Zero-based indices of the order lines at fault.
        subjects: The lines, items or taxes at fault as names for people, who count from 1.
        reason: Which of the remedies of its class applies, such as "sold_out"; may be empty.
        order_field: The optional field of the order that the platform refuses, such as
            `customer.phone`; may be empty. The order is sent once more without it.
        request_id: The platform's id of the request, for its support desk.
        applied: Whether the platform carried out the request that failed.
        outcome: Whether the order exists. Set by core.
        retry_after: How long the platform asked to wait, in seconds.
        refreshable: Whether a fresh access token would resolve it.
        granted_by: The person who authorised the connection, where known.
        menu_imported: Whether the menu was imported again for this order, without success.
        concerns_order: Whether it is about an order, and not only about a connection or a menu.
        pos_order: The order at the platform, where one exists.
        exchange: A redacted copy of the exchange that failed.
        sends: How often the request was sent.
        support_contact: A sentence that ends both texts of the remedy.
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
        order_field: str = "",
    ) -> None:
        self.detail = plain(detail, LONGEST_WORDS)
        super().__init__(self.detail)
        self.code = plain(code, LONGEST_CODE)
        self.status_code = status_code
        self.lines = tuple(lines)
        self.subjects = tuple(plain(subject, LONGEST_CODE) for subject in subjects)
        self.reason = reason
        self.applied = applied
        self.retry_after = _number_of_seconds(retry_after)
        self.refreshable = refreshable
        self.pos_order = pos_order
        self.order_field = order_field
        # Core fills in what follows.
        self.platform = ""
        self.title = ""
        self.operation = ""
        self.request_id = ""
        self.outcome = Outcome.NOT_CREATED
        self.menu_imported = False
        self.concerns_order = True
        self.support_contact = ""
        self.granted_by = ""
        self.sends = 1
        self.exchange: Transcript | None = None

    @property
    def remedy(self) -> Remedy:
        """What to do, who does it, and texts for manager, developer and customer."""
        general = REMEDIES[self.default_remedy]
        text = REMEDIES.get(f"{self.default_remedy}.{self.reason}", general)
        return fill(
            text,
            platform=self.title or self.platform or "the POS",
            subjects=self.subjects,
            detail=self.detail,
            imported=MENU_IMPORTED if self.menu_imported else "",
            contact=self.support_contact,
            granted_by=plain(self.granted_by, LONGEST_CODE),
            register=_WHEREABOUTS[self.outcome],
            concerns_order=self.concerns_order,
            is_sending=self.operation not in _SENDING_NOTHING,
        )

    def record(self) -> ErrorRecord:
        """Return the error as plain data."""
        values = {name: getattr(self, name) for name in ErrorRecord.model_fields if name != "kind"}
        return ErrorRecord(kind=type(self).__name__, **values)

    @staticmethod
    def from_record(record: ErrorRecord) -> PosError:
        """Return the error that `record` was made from.

        A record whose kind isn't known becomes an `UnknownPosError`.
        """
        error = error_named(record.kind)(record.detail)
        for name in ErrorRecord.model_fields:
            if name not in ("kind", "detail"):
                setattr(error, name, getattr(record, name))
        return error

    def as_kind(self, kind: type[PosError]) -> PosError:
        """Return the same error as another kind.

        It has no reason any more, since that is of its own kind.
        """
        record = self.record()
        return PosError.from_record(record.model_copy(update={"kind": kind.__name__, "reason": ""}))

    def __str__(self) -> str:
        """Return one line for support staff, including the order's outcome."""
        return f"{self.summary} (outcome: {self.outcome})"

    @property
    def summary(self) -> str:
        """The error in one line, without the order's outcome."""
        source_parts = (self.title or self.platform, self.operation)
        source = " ".join(part for part in source_parts if part)
        answer_parts = (self.status_code, self.code, self.detail)
        answer = " ".join(str(part) for part in answer_parts if part)
        subjects = list(self.subjects[:MAX_SUBJECTS])
        if len(self.subjects) > MAX_SUBJECTS:
            subjects.append("...")
        prefix = f"{source}: " if source else ""
        suffix = f" [{', '.join(subjects)}]" if subjects else ""
        return f"{prefix}{answer or type(self).__name__}{suffix}"

    def __repr__(self) -> str:
        """Return the class with the attributes that matter in a log."""
        values = {
            "platform": repr(self.platform),
            "operation": repr(self.operation),
            "status_code": repr(self.status_code),
            "code": repr(self.code),
            "detail": repr(self.detail),
            "lines": repr(self.lines),
            "outcome": str(self.outcome),
            "request_id": repr(self.request_id),
        }
        shown = [f"{name}={value}" for name, value in values.items() if getattr(self, name)]
        return f"{type(self).__name__}({', '.join(shown)})"


class MenuError(PosError):
    """The order doesn't match the store's menu.

    For example, an item or option is missing, sold out, or has another price.
    """

    default_remedy = "menu"


class OutageError(PosError):
    """The platform can't be reached, fails, or gives no usable answer."""

    transient = True
    default_remedy = "outage"


class RateLimitError(OutageError):
    """The platform accepts no more requests for the moment.

    `retry_after` is the number of seconds to wait, where the platform gives one.
    """

    default_remedy = "rate_limit"


class RegisterOfflineError(OutageError):
    """The platform is up, but the store's register isn't connected to it."""

    default_remedy = "register_offline"


class DoubtError(OutageError):
    """An earlier request may have created the order.

    The order must be looked up before anything more is sent for it.
    """

    default_remedy = "doubt"


class PermissionsError(PosError):
    """The platform rejects the access token, or the token lacks a permission."""

    default_remedy = "permissions"


class TaxError(PosError):
    """The store's tax setup doesn't match the order.

    For example, more than one tax applies, or a tax is used as a surcharge.
    """

    default_remedy = "tax"


class StoreClosedError(PosError):
    """The store takes no online orders at the moment."""

    default_remedy = "store_closed"


class OrderError(PosError):
    """The platform refuses the order itself.

    For example, its time is in the past, or its customer or payment isn't accepted.
    """

    default_remedy = "order"


class SetupError(PosError):
    """The connection's own settings are wrong.

    For example, its location, payment method or a mapping.
    """

    default_remedy = "setup"


class UnknownPosError(PosError):
    """An answer that matches no row of the error table, or an unexplained failure."""


class KeyRetiredError(PosError):
    """An adapter's signal to core: use a new idempotency key.

    The order that was created under this attempt's key is cancelled permanently.
    """


class UnsupportedError(PosError):
    """The platform's adapter lacks this operation (see `Adapter.capabilities`)."""

    default_remedy = "unsupported"


class ConfigError(ValueError):
    """The settings of a connection aren't valid.

    The message is one line that names the setting.
    """


class UnreadableConfigError(ConfigError):
    """A connection can't be read now, so what is said of it isn't known.

    Such as while an editor saves the file, or while the database of a `ConnectionSource` is down.
    It doesn't mean that the connection is wrong.
    """


def error_named(kind: str) -> type[PosError]:
    """Return the error class of that name, or `UnknownPosError` when there is none."""
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
