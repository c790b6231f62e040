"""What an adapter is: a platform's operations without I/O, and its error table. Core drives it, a plugin registers it.

To add a platform, derive from `Adapter`: say how credentials are put on a request (`sign`), how the platform words its
complaints (`problems`), what they mean (`errors`), and write the operations as exchanges. An optional operation is
declared by writing it. `judge` is core's half: it turns any answer, or the lack of one, into a typed value or error.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar, Generic, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr, field_validator

from tillpost.errors import (
    Applied,
    OutageError,
    PermissionsError,
    PosError,
    RateLimitError,
    SetupError,
    Transcript,
    UnknownPosError,
    UnsupportedError,
)
from tillpost.exchange import Exchange, Fault, Reply, Request, Response
from tillpost.menu import Menu
from tillpost.order import Draft, Order, PosOrder
from tillpost.readiness import Readiness
from tillpost.redaction import PUBLIC_FIELDS, redact, redact_path

__all__ = [
    "Adapter",
    "AdapterSettings",
    "Attempt",
    "Credentials",
    "Found",
    "Problem",
    "Row",
    "Signed",
    "Verdict",
    "unreachable",
]

Found = PosOrder | Draft | None
"""What a look can find: the order, a draft that staff can't see, or nothing."""


class AdapterSettings(BaseModel):
    """What a connection needs. Adapters add their own fields; a secret is a `SecretStr`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)

    base_url: str
    access_token: SecretStr = SecretStr("")

    @field_validator("base_url")
    @classmethod
    def _encrypted(cls, url: str) -> str:
        """Plain http would show the token to the network, so it is for this machine only."""
        parts = urlsplit(url)
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise ValueError("must be an https address")
        if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
            raise ValueError("must be https; plain http is for this machine only")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("must hold no user, password, query or fragment")
        return url.rstrip("/")

    @field_validator("access_token")
    @classmethod
    def _writable(cls, token: SecretStr) -> SecretStr:
        """A line break from the file that it was kept in is the usual fault; no request could be written with it."""
        text = token.get_secret_value()
        if not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError("holds a space, a line break or another character that no token has")
        return token

    def credentials(self) -> Credentials:
        """Return what requests are signed with."""
        return Credentials(access_token=self.access_token)


class Credentials(BaseModel):
    """What requests are signed with. Core keeps them, renews them, and hands them to `Adapter.sign` alone."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    access_token: SecretStr
    refresh_token: SecretStr | None = None
    client_id: str = ""
    client_secret: SecretStr | None = None

    def secrets(self) -> tuple[str, ...]:
        """Every secret text, to be scrubbed from what a platform sends back."""
        held = (self.access_token, self.refresh_token, self.client_secret)
        return tuple(text for secret in held if secret and (text := secret.get_secret_value()))


@dataclass(frozen=True, slots=True)
class Signed:
    """What goes on the wire beside the request: headers, and a body where signing changes it."""

    headers: Mapping[str, str]
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """What `submit` may know besides the order.

    `generation` rises only past an order that is proved dead; it and the order's id make the idempotency key. `menu` is
    the last import. `keep_paid` asks for the customer's prices instead of the menu's, and `remarks` are to be said in
    the order's note. `since` is when the order was first sent, as epoch seconds, None when never.
    """

    generation: int = 0
    menu: Menu | None = None
    keep_paid: bool = False
    remarks: tuple[str, ...] = ()
    since: float | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """One complaint in a platform's answer."""

    code: str = ""
    field: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of an error table: which complaints it matches, and what they mean.

    All that is given must match: the HTTP `status`, the exact `codes`, and the patterns `field` and `text`, which are
    searched without regard to case. A pattern's group `line` names a line by its zero-based index, `item` by an id.
    `applied` is what became of the request that was refused.
    """

    error: type[PosError]
    status: Sequence[int] = ()
    codes: frozenset[str] = frozenset()
    field: str = ""
    text: str = ""
    reason: str = ""
    applied: Applied = Applied.NO
    refreshable: bool = False

    def match(self, status: int, problem: Problem) -> Mapping[str, str] | None:
        """Return the names that the patterns found, or None when the row doesn't match."""
        if (self.status and status not in self.status) or (self.codes and problem.code not in self.codes):
            return None
        named: dict[str, str] = {}
        for pattern, text in ((self.field, problem.field), (self.text, problem.text)):
            if pattern:
                hit = re.search(pattern, text, re.IGNORECASE)
                if hit is None:
                    return None
                named |= {name: value for name, value in hit.groupdict().items() if value is not None}
        return named


DEFAULT_ROWS = (
    Row(RateLimitError, status=(429,)),
    Row(PermissionsError, status=(401, 403)),
    Row(OutageError, status=(408,), applied=Applied.MAYBE),
    Row(OutageError, status=range(500, 600), applied=Applied.MAYBE),
    Row(SetupError, status=range(300, 400), applied=Applied.MAYBE),
)
"""What holds on any platform, after its own table."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer means: a reply or an error, and what became of the request."""

    applied: Applied
    reply: Reply | None = None
    error: PosError | None = field(default=None)


S = TypeVar("S", bound=AdapterSettings)


class Adapter(ABC, Generic[S]):
    """A platform's operations. Construct it with its settings; it holds no state and does no I/O.

    Class attributes:
        platform, title: the name in code and the name for people.
        settings: the model of its settings; `Till.connect(platform, **settings)` validates by it.
        errors: the error table; the first row that matches any complaint wins.
        keyed: whether the platform honours idempotency keys on the create.
        needs_menu: whether `submit` can't translate an order without an imported menu.
        look_after: when to look for an order that may be there: seconds, each counted from the look before.
        public_fields: names of JSON fields that may be shown in transcripts.
        request_id_header: the answer's header with the platform's own mark of a request, in lower case.
        simulator: "package.module:factory" of the platform's simulator, empty when there is none. The factory takes
            `faults`, a `FaultPlan`.
        demo: "package.module:function" of the scenarios for `tillpost demo`, empty when there are none.
    """

    platform: ClassVar[str]
    title: ClassVar[str]
    settings: ClassVar[type[AdapterSettings]]
    errors: ClassVar[tuple[Row, ...]]
    keyed: ClassVar[bool] = False
    needs_menu: ClassVar[bool] = False
    public_fields: ClassVar[frozenset[str]] = frozenset()
    request_id_header: ClassVar[str] = "x-request-id"
    simulator: ClassVar[str] = ""
    demo: ClassVar[str] = ""
    look_after: Sequence[float] = (1.0, 3.0)

    def __init__(self, settings: S) -> None:
        self.config = settings

    def sign(self, request: Request[Any], credentials: Credentials) -> Signed:
        """Return what goes on the wire with the request. By default a bearer token and JSON."""
        return Signed(
            {
                "Authorization": f"Bearer {credentials.access_token.get_secret_value()}",
                "Content-Type": "application/json",
                "Accept": "application/json",
            }
        )

    @abstractmethod
    def problems(self, response: Response) -> Sequence[Problem]:
        """Return the platform's complaints in an answer, most telling first. None in an answer without any.

        It is asked of successes too, since some platforms complain within a 200: make that check cheap.
        """

    @abstractmethod
    def submit(self, order: Order, attempt: Attempt) -> Exchange[PosOrder]:
        """Bring the order onto the register: create it and all that staff need to see it."""

    @abstractmethod
    def find(self, order: Order, since: float | None) -> Exchange[Found]:
        """Look for the order by its reference, among what came since (epoch seconds; None: since it was placed)."""

    @abstractmethod
    def fetch(self, pos_id: str) -> Exchange[PosOrder]:
        """Return what the platform says of the order now; `accepted` only on the register's proof."""

    @abstractmethod
    def import_menu(self) -> Exchange[Menu]:
        """Return the site's whole menu."""

    @abstractmethod
    def check(self) -> Exchange[Readiness]:
        """Look at the connection, the store and the register: can it take orders, and what is missing?"""

    def finish(self, order: Order, draft: Draft) -> Exchange[PosOrder]:
        """Finish an order that is there but unseen by staff, or undo it and raise why. Only where drafts exist."""
        raise UnsupportedError(f"{self.title} has no drafts")

    def cancel(self, pos_id: str) -> Exchange[PosOrder]:
        """Withdraw the order at the platform."""
        raise UnsupportedError(f"{self.title}'s adapter can't cancel")

    def quote(self, order: Order, attempt: Attempt) -> Exchange[int]:
        """Return the total, in minor units, that the platform would compute, without creating anything."""
        raise UnsupportedError(f"{self.title}'s adapter can't price an order without creating it")

    def refresh(self, credentials: Credentials) -> Exchange[Credentials]:
        """Return new credentials for expired ones.

        As any other request, the one that asks for them holds no secret: `sign` writes its body. Mark it `private`.
        """
        raise UnsupportedError(f"{self.title}'s adapter can't refresh a token")

    @classmethod
    def capabilities(cls) -> frozenset[str]:
        """Return the operations that this adapter has written."""
        return frozenset(name for name in _OPERATIONS if getattr(cls, name) is not getattr(Adapter, name))

    def retry_after(self, response: Response, now: float) -> float | None:
        """Return how many seconds the platform asks to wait, from `Retry-After` in either of its forms."""
        value = response.headers.get("retry-after", "").strip()
        if re.fullmatch(r"[0-9]{1,9}", value):
            return float(value)
        try:
            date = parsedate_to_datetime(value)
            return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now)
        except (ValueError, OverflowError):
            return None

    def judge(self, request: Request[Any], order: Order | None, answer: Response | Fault, now: float) -> Verdict:
        """Say what an answer, or the lack of one, means. Never raises, whatever the bytes are."""
        if isinstance(answer, Fault):
            return self._refused(request, answer, OutageError(answer.text, applied=answer.applied))
        fine = 200 <= answer.status < 300
        problems: Sequence[Problem] = ()
        try:
            problems = self.problems(answer)
            if fine and not problems:
                # What was read is enough of a private answer: its bytes are a secret.
                shown = replace(answer, body=b"") if request.private else answer
                return Verdict(Applied.YES, Reply(request.read(answer.body), shown))
        except Exception as unreadable:  # noqa: BLE001  whatever a reader raises, the answer can't be read
            if fine:
                detail = f"the answer can't be read ({type(unreadable).__name__})"
                error: PosError = OutageError(detail, status_code=answer.status, applied=Applied.MAYBE)
                return self._refused(request, answer, error)
        complaints = problems or (Problem(text="" if request.private else _words(answer.body)),)
        refusal = self._by_table(answer, complaints, order, now)
        if not problems and refusal.applied is Applied.NO:
            refusal.applied = Applied.MAYBE  # not in the platform's own words, so it needn't be the platform's
        return self._refused(request, answer, refusal)

    def _by_table(self, answer: Response, complaints: Sequence[Problem], order: Order | None, now: float) -> PosError:
        """Make the error of the first row that matches any complaint: a row's rank beats a complaint's."""
        for row in (*self.errors, *DEFAULT_ROWS):
            for problem in complaints:
                named = row.match(answer.status, problem)
                if named is not None:
                    return row.error(
                        problem.text or problem.code,
                        code=problem.code,
                        status_code=answer.status,
                        lines=_lines(named, order),
                        reason=row.reason,
                        applied=row.applied,
                        refreshable=row.refreshable,
                        retry_after=self.retry_after(answer, now),
                    )
        first = complaints[0]
        # A refusal in words we don't know: nothing says that the request had no effect.
        return UnknownPosError(
            first.text or first.code, code=first.code, status_code=answer.status, applied=Applied.MAYBE
        )

    def _refused(self, request: Request[Any], answer: Response | Fault, error: PosError) -> Verdict:
        public = PUBLIC_FIELDS | self.public_fields
        copy = Transcript(
            method=request.method,
            path=redact_path(request.path),
            request_body="" if request.private else redact(request.body, public),
        )
        if isinstance(answer, Fault):
            error.exchange = copy.model_copy(update={"fault": answer.text})
        else:
            error.request_id = answer.headers.get(self.request_id_header, "")
            seen = {"status_code": answer.status, "request_id": error.request_id}
            body = "" if request.private else redact(answer.body, public)
            error.exchange = copy.model_copy(update=seen | {"response_body": body})
        return Verdict(error.applied, error=error)


_OPERATIONS = ("submit", "finish", "find", "fetch", "import_menu", "check", "cancel", "quote", "refresh")


def _words(body: bytes) -> str:
    """Return the beginning of an answer that isn't in the platform's own form, as one line."""
    return " ".join(body[:300].decode("utf-8", "replace").split())


def _lines(named: Mapping[str, str], order: Order | None) -> tuple[int, ...]:
    """Return the lines that a row's patterns named, by index or by the id of an item or modifier."""
    if order is None:
        return ()
    if "line" in named:
        return tuple(i for i in range(len(order.lines)) if str(i) == named["line"])
    item = named.get("item")
    return tuple(
        i for i, line in enumerate(order.lines) if item in {line.item_id, *(m.modifier_id for m in line.modifiers)}
    )


def unreachable(table: Sequence[Row]) -> list[Row]:
    """Return the rows that no answer can ever reach, because the rows before them take everything. For tests.

    A row is reachable when for one of its statuses and codes no earlier row matches without looking at a text or field,
    or by the very same patterns. Patterns are compared as written, so a pattern that contains another isn't seen.
    """
    lost: list[Row] = []
    for rank, row in enumerate(table):
        cases = [(status, code) for status in (row.status or (None,)) for code in (row.codes or (None,))]
        earlier = [r for r in table[:rank] if r.field in ("", row.field) and r.text in ("", row.text)]
        if all(any(_takes(r, status, code) for r in earlier) for status, code in cases):
            lost.append(row)
    return lost


def _takes(row: Row, status: int | None, code: str | None) -> bool:
    return (not row.status or status in row.status) and (not row.codes or code in row.codes)
