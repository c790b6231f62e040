"""What an adapter is: a platform's operations without I/O, and its error table. Core drives it, a plugin registers it.

To add a platform, derive from `Adapter`: say how credentials are put on a request (`sign`), how the
platform words its complaints (`problems`), what they mean (`errors`), and write the operations as
exchanges. An optional operation is declared by writing it. `judge` is core's half: it turns any
answer, or the lack of one, into a typed value or error.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from tillpost.adapter.error_table import DEFAULT_ROWS, Problem, Row, unreachable
from tillpost.adapter.exchange import Exchange, Fault, Reply, Request, Response
from tillpost.adapter.readiness import Readiness
from tillpost.adapter.redaction import PUBLIC_FIELDS, redact, redact_path
from tillpost.adapter.settings import (
    Account,
    AdapterSettings,
    AuthorisationRequest,
    Choice,
    Credentials,
    Looks,
    Signed,
)
from tillpost.adapter.webhooks import Webhook, WebhookEvent
from tillpost.errors import (
    Applied,
    OutageError,
    PosError,
    SetupError,
    Transcript,
    UnknownPosError,
    UnsupportedError,
)
from tillpost.errors.remedies import StepText
from tillpost.models.menu import Menu
from tillpost.models.order import Draft, Order, PosOrder

__all__ = [
    "Account",
    "Adapter",
    "AdapterSettings",
    "Attempt",
    "AuthorisationRequest",
    "Choice",
    "Credentials",
    "Found",
    "Looks",
    "Problem",
    "Row",
    "Signed",
    "Verdict",
    "searched_from",
    "ticket_reference",
    "unreachable",
]

Found = PosOrder | Draft | None
"""What a look can find: the order, a draft that staff can't see, or nothing."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What `submit` may know besides the order.

    `generation` rises only past an order that is proved dead; it and the order's id make the
    idempotency key. `menu` is the last import. `keep_paid` asks for the customer's prices instead
    of the menu's, and `remarks` are to be said in the order's note. `since` is when the order was
    first sent, as epoch seconds, None when never.
    """

    generation: int = 0
    menu: Menu | None = None
    keep_paid: bool = False
    remarks: tuple[str, ...] = ()
    since: float | None = None


class Verdict(NamedTuple):
    """What an answer means: a reply or an error, and what became of the request."""

    applied: Applied
    reply: Reply | None = None
    error: PosError | None = None


EARLIER = timedelta(hours=1)
"""How much earlier than it can be an order is looked for, since two clocks never agree."""


def searched_from(order: Order, since: float | None) -> datetime:
    """Return, in UTC, since when a platform's orders are to be searched for this one; `since` is that of `find`."""
    sent = (
        min(order.placed_at, datetime.now(UTC))
        if since is None
        else datetime.fromtimestamp(since, UTC)
    )
    return (sent - EARLIER).astimezone(UTC)


def ticket_reference(order: Order) -> str:
    """Return the reference of an order's attention ticket. No order has it as its id, which never holds a space."""
    return f"ticket {order.id}"


LITTLE_LEFT = 30
"""With fewer requests left than this, a menu import goes slower still."""

S = TypeVar("S", bound=AdapterSettings)


class Adapter(ABC, Generic[S]):
    """A platform's operations. Construct it with its settings; it holds no state and does no I/O.

    Class attributes: platform, title: the name in code and the name for people. settings: the model
        of its settings; `Till.connect(platform, **settings)` validates by it. errors: the error
        table; the first row that matches any complaint wins. keyed: whether the platform honours
        idempotency keys on the create. needs_menu: whether `submit` can't translate an order
        without an imported menu. look_after: when to look for an order that may be there: seconds,
        each counted from the look before. import_pace: seconds to wait after each answer to a menu
        import, where the rate of requests is limited. public_only: whether only public addresses
        are connected to: for a `base_url` that a stranger may have chosen. public_fields: names of
        JSON fields that may be shown in transcripts. request_id_header: the answer's header with
        the platform's own mark of a request, in lower case. webhooks_proved: whether a webhook's
        signature proves what it says; if not, core looks the order up. register_steps: what staff
        do at this platform's register, beside the common checklist, when it doesn't show an order
        that the platform has.
    """

    platform: ClassVar[str]
    title: ClassVar[str]
    settings: ClassVar[type[AdapterSettings]]
    errors: ClassVar[tuple[Row, ...]]
    keyed: ClassVar[bool] = False
    needs_menu: ClassVar[bool] = False
    public_fields: ClassVar[frozenset[str]] = frozenset()
    request_id_header: ClassVar[str] = "x-request-id"
    webhooks_proved: ClassVar[bool] = True
    register_steps: ClassVar[tuple[StepText, ...]] = ()
    look_after: Sequence[float] = (1.0, 3.0)
    import_pace: float = 0.0
    public_only: bool = False

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

        It is asked of successes too, since some platforms complain within a 200: make that check
        cheap.
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

    def attention(self, order: Order, number: int) -> Exchange[PosOrder]:
        """Make a ticket of a zero price whose note spells out an order that is refused, and return it.

        `docket.spelled_out` gives the text. Its reference is none that an order could have
        (`ticket_reference`), so that `find` never takes it for the order. With a key that follows
        from the order's id and `number`, which rises once a ticket was withdrawn; without keys it
        is looked for before it is made, and core sends nothing twice.
        """
        raise UnsupportedError(f"{self.title}'s adapter makes no attention tickets")

    def quote(self, order: Order, attempt: Attempt) -> Exchange[int]:
        """Return the total, in minor units, that the platform would compute, without creating anything."""
        raise UnsupportedError(f"{self.title}'s adapter can't price an order without creating it")

    def refresh(self, credentials: Credentials) -> Exchange[Credentials]:
        """Return new credentials for expired ones.

        As any other request, the one that asks for them holds no secret: `sign` writes its body.
        Mark it `private`.
        """
        raise UnsupportedError(f"{self.title}'s adapter can't refresh a token")

    @classmethod
    def authorize_url(cls, base_url: str, request: AuthorisationRequest) -> str:
        """Return the provider's page on which a store's admin grants us access. Pure."""
        raise UnsupportedError(f"{cls.title}'s adapter can't ask for an authorisation")

    def exchange_code(self, credentials: Credentials) -> Exchange[Credentials]:
        """Return the credentials that an authorisation's code stands for. As with `refresh`, `sign` writes the body."""
        raise UnsupportedError(f"{self.title}'s adapter can't exchange a code")

    def account(self) -> Exchange[Account]:
        """Return who let us in, and what they let us see. It needs credentials only: no other setting is known yet."""
        raise UnsupportedError(f"{self.title}'s adapter can't tell whose account it is")

    def revoke(self, credentials: Credentials) -> Exchange[None]:
        """Give the access back that was granted. As with `refresh`, `sign` puts the secrets on the request."""
        raise UnsupportedError(f"{self.title}'s adapter can't give access back")

    def parse_webhook(self, webhook: Webhook, now: float) -> Sequence[WebhookEvent]:
        """Check the platform's signature and return what the webhook tells; raise `WebhookError` otherwise. Pure.

        An order in another state is an `OrderChanged`: core makes a refusal of one that staff have
        turned down.
        """
        raise UnsupportedError(f"{self.title}'s adapter reads no webhooks")

    @classmethod
    def capabilities(cls) -> frozenset[str]:
        """Return the operations that this adapter has written."""
        return frozenset(
            name for name in _OPERATIONS if _function(cls, name) is not _function(Adapter, name)
        )

    def retry_after(self, response: Response, now: float) -> float | None:
        """Return how many seconds the platform asks to wait, from `Retry-After` in either of its forms.

        A 429 without it may tell when its minute ends, in `X-RateLimit-Reset`: as epoch seconds, or
        in so many seconds.
        """
        value = response.headers.get("retry-after", "").strip()
        if re.fullmatch(r"[0-9]{1,9}", value):
            return float(value)
        reset = response.headers.get("x-ratelimit-reset", "").strip()
        if not value and response.status == 429 and re.fullmatch(r"[0-9]{1,12}", reset):
            return max(0.0, float(reset) - now) if len(reset) > 9 else float(reset)
        try:
            date = parsedate_to_datetime(value)
            return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now)
        except (ValueError, OverflowError):
            return None

    def import_pause(self, response: Response) -> float:
        """Return how many seconds to wait after an answer to a menu import, so that orders keep their share.

        The rate budget is the token's. When `X-RateLimit-Remaining` says that little of it is left,
        it is eight times `import_pace`.
        """
        left = response.headers.get("x-ratelimit-remaining", "").strip()
        short = re.fullmatch(r"[0-9]{1,9}", left) and int(left) < LITTLE_LEFT
        return self.import_pace * (8 if short else 1)

    def judge(
        self, request: Request[Any], order: Order | None, answer: Response | Fault, now: float
    ) -> Verdict:
        """Say what an answer, or the lack of one, means. Never raises, whatever the bytes are."""
        if isinstance(answer, Fault):
            kind = SetupError if answer.barred else OutageError
            return self._refused(request, answer, kind(answer.text, applied=answer.applied))
        asked_for = answer.status in request.answers
        fine = asked_for or 200 <= answer.status < 300
        problems: Sequence[Problem] = ()
        try:
            problems = () if asked_for else self.problems(answer)
            if fine and not problems:
                # What was read is enough of a private answer: its bytes are a secret.
                shown = replace(answer, body=b"") if request.private else answer
                return Verdict(Applied.YES, Reply(request.read(answer.body), shown))
        except Exception as unreadable:  # noqa: BLE001  whatever a reader raises, the answer can't be read
            if fine:
                detail = f"the answer can't be read ({type(unreadable).__name__})"
                error: PosError = OutageError(
                    detail, status_code=answer.status, applied=Applied.MAYBE
                )
                return self._refused(request, answer, error)
        complaints = problems or (Problem(text="" if request.private else _words(answer.body)),)
        refusal = self._by_table(answer, complaints, order, now)
        if not problems and refusal.applied is Applied.NO:
            refusal.applied = (
                Applied.MAYBE
            )  # not in the platform's own words, so it needn't be the platform's
        return self._refused(request, answer, refusal)

    def _by_table(
        self, answer: Response, complaints: Sequence[Problem], order: Order | None, now: float
    ) -> PosError:
        """Make the error of the first row that matches any complaint: a row's rank beats a complaint's."""
        for row in (*self.errors, *DEFAULT_ROWS):
            for problem in complaints:
                named = row.match(answer.status, problem)
                if named is not None:
                    told = problem.retry_after
                    return row.error(
                        problem.text or problem.code,
                        code=problem.code,
                        status_code=answer.status,
                        lines=_lines(problem.lines, named, order),
                        reason=row.reason or problem.reason,
                        applied=row.applied,
                        refreshable=row.refreshable,
                        retry_after=self.retry_after(answer, now) if told is None else told,
                    )
        first = complaints[0]
        # A refusal in words we don't know: nothing says that the request had no effect.
        return UnknownPosError(
            first.text or first.code,
            code=first.code,
            status_code=answer.status,
            applied=Applied.MAYBE,
        )

    def transcript(self, request: Request[Any], answer: Response | Fault) -> Transcript:
        """Return a redacted copy of an exchange, to be kept and shown."""
        public = PUBLIC_FIELDS | self.public_fields
        copy = Transcript(
            method=request.method,
            path=redact_path(request.path),
            request_body="" if request.private else redact(request.body, public),
        )
        if isinstance(answer, Fault):
            return copy.model_copy(update={"fault": answer.text})
        seen = {
            "status_code": answer.status,
            "request_id": answer.headers.get(self.request_id_header, ""),
        }
        body = "" if request.private else redact(answer.body, public)
        return copy.model_copy(update=seen | {"response_body": body})

    def _refused(self, request: Request[Any], answer: Response | Fault, error: PosError) -> Verdict:
        error.exchange = self.transcript(request, answer)
        error.request_id = error.exchange.request_id
        return Verdict(error.applied, error=error)


_OPERATIONS = (
    "submit",
    "finish",
    "find",
    "fetch",
    "import_menu",
    "check",
    "cancel",
    "attention",
    "quote",
    "refresh",
    "authorize_url",
    "exchange_code",
    "account",
    "revoke",
    "parse_webhook",
)


def _function(adapter: type[object], operation: str) -> object:
    written = getattr(adapter, operation)
    return getattr(written, "__func__", written)


def _words(body: bytes) -> str:
    """Return the beginning of an answer that isn't in the platform's own form, as one line."""
    return " ".join(body[:300].decode("utf-8", "replace").split())


def _lines(told: Sequence[int], named: Mapping[str, str], order: Order | None) -> tuple[int, ...]:
    """Return the lines that were told, else those that a row's patterns named, by index or by an id on them."""
    if order is None:
        return ()
    if told:
        return tuple(i for i in range(len(order.lines)) if i in told)
    if "line" in named:
        return tuple(i for i in range(len(order.lines)) if str(i) == named["line"])
    item = named.get("item")
    return tuple(
        i
        for i, line in enumerate(order.lines)
        if item in {line.item_id, *(m.modifier_id for m in line.modifiers)}
    )
