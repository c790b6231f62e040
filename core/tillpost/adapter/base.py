"""The contract of a platform's adapter: what an author writes and may override.

To add a platform, derive from `Adapter`. Set its class attributes, read the platform's refusals in
`problems`, map them to errors in the table `errors`, and write the operations as exchanges. An
optional operation is declared by writing it.

An adapter does no I/O and keeps no state. Core runs its operations (`submission.operation`) and
interprets the platform's answers by its table (`adapter.verdicts`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Generic, TypeVar

from tillpost.adapter.error_table import Problem, Row, unreachable
from tillpost.adapter.exchange import Exchange, Request, Response
from tillpost.adapter.order_features import OrderFeature
from tillpost.adapter.readiness import Readiness
from tillpost.adapter.redaction import PUBLIC_FIELDS
from tillpost.adapter.settings import (
    Account,
    AdapterSettings,
    AuthorisationRequest,
    Choice,
    Credentials,
    LookUpPauses,
    Signed,
    checked_address,
)
from tillpost.adapter.webhooks import Webhook, WebhookEvent
from tillpost.errors import SetupError, UnsupportedError
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
    "LookUpPauses",
    "Problem",
    "Row",
    "Signed",
    "searched_from",
    "ticket_reference",
    "unreachable",
]

S = TypeVar("S", bound=AdapterSettings)

Found = PosOrder | Draft | None
"""The result of a look-up: the order, a draft that staff can't see, or nothing."""

CLOCK_TOLERANCE = timedelta(hours=1)
"""How much earlier a look-up starts than the order can be: no clock is exact."""

EARLIEST = datetime(1970, 1, 3, tzinfo=UTC)
"""No search starts much before this, whatever a journal or an order says."""

LATEST = datetime(9999, 12, 30, tzinfo=UTC)
"""No search starts after this, the end of the calendar."""

UNKNOWN_CLOCK = timedelta(days=1)
"""How much earlier still, if our clock wasn't compared with the platform's."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to submit an order: what `submit` may know besides the order.

    Attributes:
        generation: Part of the idempotency key, with the order's id. It rises only when the order
            made under the previous key is proved dead.
        menu: The menu as it was last imported, None if it never was.
        keep_paid: Whether to send the prices that the customer paid instead of the menu's.
        remarks: Sentences to add to the order's note, for staff.
        since: The earliest time that the order can have at the platform if it was sent before, by
            the platform's clock, in epoch seconds; None if it never was.
        withheld: The fields that were taken out of the order, since the platform refused them or
            its time has passed: see `Row.order_field`. The remarks have what they said.
        is_forecast: Whether nothing is sent: only the request that creates the order is looked at,
            for its notices. Leave out what `submit` would ask the platform before it.
    """

    generation: int = 0
    menu: Menu | None = None
    keep_paid: bool = False
    remarks: tuple[str, ...] = ()
    since: float | None = None
    withheld: frozenset[str] = frozenset()
    is_forecast: bool = False


def searched_from(order: Order, since: float | None) -> datetime:
    """Return the time from which to search a platform's orders for this one.

    Args:
        order: The order to look up.
        since: As `Adapter.find` gets it: epoch seconds, or None for when the order was placed.

    Returns:
        A time in UTC, an hour earlier than the order can be, and a day earlier still without
        `since`. A search from there finds the order also if our clock is ahead.
    """
    if since is None:
        sent_at = max(EARLIEST, min(order.placed_at, datetime.now(UTC))) - UNKNOWN_CLOCK
    else:
        within_calendar = min(LATEST.timestamp(), max(EARLIEST.timestamp(), since))
        sent_at = datetime.fromtimestamp(within_calendar, UTC)
    return (sent_at - CLOCK_TOLERANCE).astimezone(UTC)


def ticket_reference(order: Order) -> str:
    """Return the reference of an order's attention ticket.

    No order can have it as its own reference, because an order's id never contains a space.
    """
    return f"ticket {order.id}"


class Adapter(ABC, Generic[S]):
    """A platform's operations, without I/O and without state.

    The operations that return an `Exchange` are generators: they yield requests and are sent the
    typed answers. A refusal is raised inside them as a `PosError`; one that they don't catch ends
    the operation. What they find wrong themselves, they raise as a `PosError` too. So any of them
    may raise one, for example an `OutageError` when the platform can't be reached; `Raises` names
    what is particular to an operation. An optional operation that isn't written raises an
    `UnsupportedError`. Anything else that an operation raises becomes an `UnknownPosError`.
    """

    platform: ClassVar[str]
    """The platform's name in code, such as `square`: `Till.connect(platform, ...)`."""

    title: str
    """The platform's name for people, such as `Square`.

    An instance may have another than its class, if a setting names the platform.
    """

    settings: ClassVar[type[AdapterSettings]]
    """The model that validates a connection's settings."""

    errors: ClassVar[tuple[Row, ...]]
    """The error table. The first row that matches any problem of an answer wins."""

    keyed: ClassVar[bool] = False
    """Whether the platform honours idempotency keys when it creates an order.

    If it forgets them, say when in `key_lifetime`.
    """

    key_lifetime: ClassVar[float | None] = None
    """How many seconds the platform surely knows an idempotency key; None for ever.

    An order that may have been sent longer ago than that is looked up before it is sent again.
    """

    carries: ClassVar[frozenset[OrderFeature]] = frozenset()
    """The parts of an order that `submit` sends beyond those of every platform.

    Core refuses an order with another one before anything is sent, and names its field.
    `EVERY_FEATURE` is all of them.
    """

    shows_names: ClassVar[bool] = False
    """Whether the register shows the order's own names of items and options.

    Elsewhere it shows the menu's. Then core adds a name of which the menu's doesn't say all to the
    note of its line, which `submit` must send.
    """

    compares_totals: ClassVar[bool] = False
    """Whether `submit` compares the platform's own total before staff see the order.

    Then core leaves the taxes to that: which of a menu's apply to an order, the platform knows
    best. Otherwise what they come to by the menu is compared before anything is sent.
    """

    needs_menu: ClassVar[bool] = False
    """Whether `submit` needs an imported menu to translate any order."""

    public_fields: ClassVar[frozenset[str]] = frozenset()
    """Names of JSON fields whose text transcripts may show.

    Never name a field about a person.
    """

    private_fields: ClassVar[frozenset[str]] = frozenset()
    """Names that transcripts must not show, although other platforms' may.

    See `shown_fields`.
    """

    request_id_header: ClassVar[str] = "x-request-id"
    """The response header with the platform's own id of a request, in lower case."""

    reports_total: ClassVar[bool] = True
    """Whether the platform reports an order's total.

    If not, the reference alone is the proof.
    """

    webhooks_proved: ClassVar[bool] = True
    """Whether a webhook's signature proves its content.

    If not, core fetches the order.
    """

    register_steps: ClassVar[tuple[StepText, ...]] = ()
    """What staff check at this platform's register when it doesn't show an order.

    They are added to the steps that are common to all platforms.
    """

    look_after: Sequence[float] = (1.0, 3.0)
    """When to look up an order that may exist.

    These are pauses in seconds, each after the look-up before. A setting may set them for a
    connection: assign them to the instance in `__init__`.
    """

    import_pace: float = 0.0
    """Seconds to wait after each answer during a menu import.

    It is for platforms that limit the rate of requests. A setting may set it for a connection:
    assign it to the instance in `__init__`.
    """

    public_only: bool = False
    """Whether to connect to public addresses only.

    It is for a `base_url` that a stranger may set. A setting may set it for a connection: assign it
    to the instance in `__init__`.
    """

    def __init__(self, settings: S) -> None:
        """Keep the settings as `self.config`, and check their `base_url`.

        Override it to set attributes such as `look_after` from settings, and call it there.

        Args:
            settings: The connection's settings, of the class that `settings` names.

        Raises:
            ValueError: `base_url` can't be a platform's address (`checked_address`).
        """
        checked_address(settings.base_url)  # whatever made the settings may not have validated them
        self.config = settings

    def needs_menu_for(self, order: Order) -> bool:
        """Return whether `submit` needs an imported menu for this order. See `needs_menu`."""
        return self.needs_menu

    def missing_setting(self, order: Order) -> SetupError | None:
        """Return the error of an order that needs a setting which the connection lacks.

        It is asked before anything is sent and before the menu is read, so that nobody waits for an
        import to learn of it. Return None for every other order. `submit` may raise the same.
        """
        return None

    def sign(self, request: Request[Any], credentials: Credentials) -> Signed:
        """Return the headers, and a body if signing changes it, that sign a request.

        Effect: the request's own; signing itself sends nothing. It is called each time that a
        request leaves, and it alone sees the credentials. By default the access token is sent as a
        bearer token, and both bodies are JSON. Whatever it raises, a `PosError` too, is a failure
        to make the request, of which nothing is sent.

        Args:
            request: The request as the operation yielded it, with the time in `sent_at`.
            credentials: The connection's current credentials.

        Returns:
            The headers, which the request's own override, and the body that replaces the request's
            own, None to keep that.
        """
        return Signed(
            {
                "Authorization": f"Bearer {credentials.access_token.get_secret_value()}",
                "Content-Type": "application/json",
                "Accept": "application/json",
            }
        )

    @abstractmethod
    def problems(self, response: Response) -> Sequence[Problem]:
        """Return the problems that an answer reports in the platform's own format.

        It is called for successes too, since some platforms report a refusal with a 200. Return
        nothing for an answer without a problem, and for one in another format: core then goes by
        its status. Whatever it raises, a `PosError` too, means that the answer can't be read.

        Args:
            response: Any answer, whatever its status and bytes.

        Returns:
            The problems, the most specific first.
        """

    @abstractmethod
    def submit(self, order: Order, attempt: Attempt) -> Exchange[PosOrder]:
        """Bring a paid order onto the register.

        Create it, and do all that staff need to see it.

        Effect: CREATE, then ADVANCE where a platform needs a second call. Undo a half-done order
        in an `except PosError`.

        Args:
            order: The order. Drop nothing of it: what has no field goes into its note.
            attempt: What is known besides the order. Where keys are honoured, use
                f"{order.id}-{attempt.generation}", and neither content nor clock.

        Returns:
            The order as the platform has it. `notices` say what had to be changed.

        Raises:
            PosError: The platform refuses the order, or would. With `pos_order`, it has created it
                but not as it was ordered.
        """

    @abstractmethod
    def find(self, order: Order, since: float | None) -> Exchange[Found]:
        """Look an order up at the platform by our reference. Effect: NONE.

        Core calls it when the order may exist and its key can't be sent again, or there is none.

        Args:
            order: The order. Only an order with its reference counts as found.
            since: The earliest time that it can have at the platform, by the platform's clock, in
                epoch seconds; None for when it was placed. `searched_from` turns it into the start
                of a search.

        Returns:
            The order; a `Draft` if it exists but staff can't see it; None if it isn't there.

        Raises:
            DoubtError: What has the reference may be another order.
            PosError: The platform refuses. With `pos_order`, the order exists, but not as it was
                ordered.
        """

    def verify(self, order: Order, pos_id: str) -> Exchange[Found]:
        """Look an order up by the platform's id. Effect: NONE.

        Core calls it when the platform has named an order that may be this one. It must conclude
        what `find` would: override it where `fetch` can't recognise drafts, or doesn't compare
        lines.

        Args:
            order: The order.
            pos_id: The platform's id of what may be the order.

        Returns:
            As `find`; None if the platform's order is another one.

        Raises:
            PosError: As `find`.
        """
        return (yield from self.fetch(pos_id))

    @abstractmethod
    def fetch(self, pos_id: str) -> Exchange[PosOrder]:
        """Return an order's current state at the platform. Effect: NONE.

        Args:
            pos_id: The platform's id of the order.

        Returns:
            The order. Its state is `accepted` only if the register or its staff has it.

        Raises:
            PosError: The platform refuses, or has no order with this id.
        """

    @abstractmethod
    def import_menu(self) -> Exchange[Menu]:
        """Return the site's whole menu, with ids, SKUs, names and prices. Effect: NONE.

        Orders are matched against it when an item is gone, so leave no item out.

        Returns:
            The menu. Its prices are those of the site, in minor units.

        Raises:
            PosError: The platform refuses, or a part of the menu can't be read.
        """

    def menu_for(self, order: Order) -> Exchange[Menu | None]:
        """Return a menu of only what an order names, read now. Effect: NONE.

        Write it where a whole import is slow, or where pages can skip an item. Core calls it
        instead of the first import where `needs_menu` is set, and once more for an item that a new
        import lacks. The order must be refused by it as it would be by the whole menu.

        Args:
            order: The order. What its items, modifiers, charges, discounts and tip need is read;
                what isn't there is left out.

        Returns:
            The menu; None if the platform has nothing of it.
        """
        raise UnsupportedError(f"{self.title}'s adapter can't read a part of the menu")

    def store_currency(self) -> Exchange[str]:
        """Return the currency that the store sells in, an ISO 4217 code. Effect: NONE.

        Write it where a short answer says it. Core asks once for a connection without a menu, and
        refuses an order in another currency before anything is sent.

        Returns:
            The code; empty if the platform doesn't say.
        """
        raise UnsupportedError(f"{self.title}'s adapter can't report the store's currency")

    @abstractmethod
    def check(self) -> Exchange[Readiness]:
        """Check whether the connection, the store and its register can take orders.

        Effect: NONE.

        Returns:
            A finding for each thing that was checked. What can't be checked is a finding too, so
            catch the `PosError` (`Finding.unseen`).

        Raises:
            PosError: A refusal that isn't caught.
        """

    def finish(self, order: Order, draft: Draft) -> Exchange[PosOrder]:
        """Complete an order that exists but that staff can't see, or undo it.

        Effect: ADVANCE, then UNDO if it can't be completed. Write it only where `find` or `submit`
        can leave drafts.

        Args:
            order: The order.
            draft: The draft that `find` returned. It may be out of date.

        Returns:
            The completed order.

        Raises:
            PosError: The reason why the draft was undone.
            KeyRetiredError: The draft was cancelled earlier, so a new key is needed.
        """
        raise UnsupportedError(f"{self.title} has no drafts")

    def cancel(self, pos_id: str) -> Exchange[PosOrder]:
        """Cancel an order at the platform, and return it. Effect: UNDO. Refunds nothing.

        Args:
            pos_id: The platform's id of the order.

        Returns:
            The order as the platform has it after that, with the same id.

        Raises:
            OrderError: The order can no longer be cancelled.
        """
        raise UnsupportedError(f"{self.title}'s adapter can't cancel orders")

    def attention(self, order: Order, number: int) -> Exchange[PosOrder]:
        """Create a ticket at a price of 0 whose note spells out an order that was refused.

        Effect: CREATE. `spelled_out` returns the note's text. The ticket carries
        `ticket_reference(order)`, so that `find` never takes it for the order. Without idempotency
        keys, look the ticket up before creating it.

        Args:
            order: The order that was refused.
            number: Part of the idempotency key, with the order's id. It rises when an earlier
                ticket was cancelled.

        Returns:
            The ticket as the platform has it, with `ticket_reference(order)` as its reference.

        Raises:
            PosError: The platform refuses the ticket, or would.
        """
        raise UnsupportedError(f"{self.title}'s adapter can't create attention tickets")

    def quote(self, order: Order, attempt: Attempt) -> Exchange[int]:
        """Return the total that the platform would compute, without creating anything.

        Effect: NONE.

        Args:
            order: The order.
            attempt: As `submit` gets it, for an order that was never sent.

        Returns:
            The total in minor units, comparable with `order.total`.

        Raises:
            PosError: The platform refuses the order, or would.
        """
        raise UnsupportedError(f"{self.title}'s adapter can't price an order without creating it")

    def refresh(self, credentials: Credentials) -> Exchange[Credentials]:
        """Return new credentials for expired ones. Effect: SIDE.

        The request contains no secret; `sign` writes its body. Mark it `private`, since tokens come
        back in the answer.

        Args:
            credentials: The expired ones.

        Returns:
            The new credentials. What the platform doesn't replace, such as the refresh token or the
            client's secret, is passed on from the expired ones.

        Raises:
            PermissionsError: There is no refresh token, or it is no longer valid.
        """
        raise UnsupportedError(f"{self.title}'s adapter can't refresh an access token")

    @classmethod
    def authorize_url(cls, base_url: str, request: AuthorisationRequest) -> str:
        """Return the address of the page on which a store's admin grants access.

        It is no exchange, and it sends nothing.

        Args:
            base_url: The address of the platform's API, already checked.
            request: What to ask for. Without scopes, ask for those that the operations need.

        Returns:
            The page's address, with the request in its query.
        """
        raise UnsupportedError(f"{cls.title}'s adapter can't request an authorisation")

    def exchange_code(self, credentials: Credentials) -> Exchange[Credentials]:
        """Return the credentials for an authorisation code. Effect: SIDE.

        As with `refresh`, `sign` writes the body, and the request is `private`.

        Args:
            credentials: They contain the code, its verifier and the client's secret.

        Returns:
            The new credentials, with the client's id and secret, and without the code.

        Raises:
            PosError: The platform refuses the code, for example because it has expired.
        """
        raise UnsupportedError(f"{self.title}'s adapter can't exchange an authorisation code")

    def account(self) -> Exchange[Account]:
        """Return whose access it is, and the values that settings can have. Effect: NONE.

        It is called while a store is being connected: only credentials and `base_url` are set.

        Returns:
            The business, its scopes and the token's expiry, and each setting's choices.

        Raises:
            PosError: The platform refuses the credentials.
        """
        raise UnsupportedError(f"{self.title}'s adapter can't report whose account it is")

    def revoke(self, credentials: Credentials) -> Exchange[None]:
        """Give up the access that was granted. Effect: SIDE.

        As with `refresh`, `sign` adds the secrets.

        Args:
            credentials: The credentials of the access that is given up.

        Raises:
            PermissionsError: These credentials can't be given up through the API.
        """
        raise UnsupportedError(f"{self.title}'s adapter can't revoke its access")

    def parse_webhook(self, webhook: Webhook, now: float) -> Sequence[WebhookEvent]:
        """Verify a webhook's signature and return its events. No exchange.

        Report an order in another state as `OrderChanged`, a rejected one too.

        Args:
            webhook: The request as it came in.
            now: The current time, in epoch seconds.

        Returns:
            The events, none for a webhook that is about something else, such as another site.

        Raises:
            WebhookError: The platform didn't send it, or not now. Anything else that is raised
                counts as a webhook that can't be read.
        """
        raise UnsupportedError(f"{self.title}'s adapter can't read webhooks")

    @classmethod
    def shown_fields(cls) -> frozenset[str]:
        """Return the names of the JSON fields whose texts are shown. Don't override it.

        They are those of `tillpost.adapter.redaction.PUBLIC_FIELDS` and `public_fields`, without
        `private_fields`.
        """
        return (PUBLIC_FIELDS | cls.public_fields) - cls.private_fields

    @classmethod
    def capabilities(cls) -> frozenset[str]:
        """Return what this adapter can do.

        Don't override it.

        Returns:
            The names of the operations that it has written, and of the fields of an order that it
            carries beyond those that every platform takes, such as `lines.discounts`.
        """
        written = {
            name for name in _OPERATIONS if _definition(cls, name) is not _definition(Adapter, name)
        }
        return frozenset(written | {feature.value for feature in cls.carries})


_OPERATIONS = (
    "submit",
    "finish",
    "find",
    "fetch",
    "import_menu",
    "menu_for",
    "store_currency",
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


def _definition(adapter: type[object], operation: str) -> object:
    """Return the function that defines an operation.

    A class method is a new object at each access, so its function is compared.
    """
    method = getattr(adapter, operation)
    return getattr(method, "__func__", method)
