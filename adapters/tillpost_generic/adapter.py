"""The generic adapter, for Tillpost's own format.

It is for any POS whose developer follows `docs/generic`. Orders and menus travel as they are. The
POS compares totals before it creates an order, and its refusals name our error classes. Each
operation reads top to bottom; the models of what is sent and answered are in `wire`, the signature
in `signature`, the meaning of refusals in `error_table`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import Field, TypeAdapter, ValidationError

from tillpost.adapter import (
    EVERY_FEATURE,
    Actor,
    Adapter,
    Applied,
    Attempt,
    Credentials,
    Effect,
    Exchange,
    Finding,
    Found,
    Menu,
    MenuError,
    OddObjects,
    Order,
    OutageError,
    PosError,
    PosOrder,
    PosState,
    Problem,
    Readiness,
    Reason,
    Request,
    Response,
    Signed,
    TaxError,
    Webhook,
    WebhookEvent,
    ask,
    currency_findings,
    format_money,
    most_rounding,
    passing_over_odd_rows,
    path_segment,
    reading,
    reading_about,
    reading_list,
    reading_where,
    tax_difference,
)
from tillpost_generic.error_table import TABLE
from tillpost_generic.settings import GenericSettings
from tillpost_generic.signature import signature_headers, verify_webhook
from tillpost_generic.wire import MENU_OBJECTS, Health, NewOrder, PosStatus, ProblemDetails

__all__ = ["Generic"]

REASONS = {"PermissionsError": "key"}
"""The reasons of kinds that come without one.

Nobody authorises us: there are a token and a key.
"""

_EVENT: TypeAdapter[WebhookEvent] = TypeAdapter(
    Annotated[WebhookEvent, Field(discriminator="kind")]
)


class Generic(Adapter[GenericSettings]):
    """Any POS that serves Tillpost's own format."""

    platform = "generic"
    title = "Generic POS"
    settings = GenericSettings
    errors = TABLE
    keyed = True
    shows_names = True
    compares_totals = True
    carries = EVERY_FEATURE
    public_fields = frozenset(
        "reference item_id modifier_id sku item reason order_field progress due_at placed_at "
        "currency".split()
    )

    def __init__(self, settings: GenericSettings) -> None:
        super().__init__(settings)
        self.title = settings.pos_name or self.title
        self.look_after = settings.look_after
        self.public_only = not settings.allow_private

    def sign(self, request: Request[Any], credentials: Credentials) -> Signed:
        """Add the token, the idempotency key and the signature of the request."""
        headers = dict(super().sign(request, credentials).headers)
        if self.config.username:
            headers["Authorization"] = f"Basic {credentials.access_token.get_secret_value()}"
        if request.key:
            headers["Idempotency-Key"] = request.key
        headers.update(signature_headers(request, self.config.base_url, self.config.signing_key))
        return Signed(headers)

    def problems(self, response: Response) -> Sequence[Problem]:
        """Return the problem of a refusal, nothing if it is in another format."""
        if response.status < 400:
            return ()
        try:
            problem = ProblemDetails.model_validate_json(response.body)
        except ValidationError:
            return ()
        return [
            Problem(
                code=problem.kind,
                field=problem.item,
                text=problem.detail,
                lines=problem.lines,
                reason=problem.reason or REASONS.get(problem.kind, ""),
                retry_after=problem.retry_after,
                order_field=problem.order_field,
            )
        ]

    def submit(self, order: Order, attempt: Attempt) -> Exchange[PosOrder]:
        """Create the paid order, in one call.

        The POS refuses it if it comes to another total.
        """
        new_order = NewOrder(
            order=order,
            expected_total=order.total,
            keep_paid=attempt.keep_paid,
            remarks=attempt.remarks,
        )
        body = new_order.model_dump_json(
            exclude_none=True, exclude={"order": {"metadata"}}
        ).encode()
        key = f"{order.id}-{attempt.generation}"
        ours = reading_where(PosStatus, lambda status: status.reference == order.id)
        created = yield from ask(Request("POST", "/orders", ours, body, Effect.CREATE, key))
        return _verified(created, order)

    def find(self, order: Order, since: float | None) -> Exchange[Found]:
        """Look the order up by its reference.

        A cancelled one doesn't count, even if there is no other: it may be an older copy, which
        proves nothing of the one that may have been created since. One that staff rejected counts
        if there is no other.
        """
        path = f"/orders?reference={quote(order.id, safe='')}"
        read = passing_over_odd_rows(reading_list(PosStatus), PosStatus, order.id)
        found = yield from ask(Request("GET", path, read))
        ours = [
            status
            for status in found
            if status.reference == order.id and status.state is not PosState.CANCELLED
        ]
        if not ours:
            return None
        ours.sort(key=lambda status: status.state is PosState.REJECTED)
        return _verified(ours[0], order)

    def verify(self, order: Order, pos_id: str) -> Exchange[Found]:
        """Return the order with this id, if it is ours. Raises as `find` does."""
        seen = yield from ask(_fetching(pos_id))
        if seen.reference != order.id:
            return None
        return _verified(seen, order)

    def fetch(self, pos_id: str) -> Exchange[PosOrder]:
        """Return the order's current state at the POS."""
        status = yield from ask(_fetching(pos_id))
        return _pos_order(status)

    def cancel(self, pos_id: str) -> Exchange[PosOrder]:
        """Cancel the order at the POS."""
        path = f"{_order_path(pos_id)}/cancel"
        key = f"cancel-{pos_id}"
        read = reading_about(PosStatus, pos_id)
        cancel = Request("POST", path, read, effect=Effect.UNDO, key=key)
        cancelled = yield from ask(cancel)
        if cancelled.state is not PosState.CANCELLED:
            raise OutageError("the order wasn't cancelled", applied=Applied.MAYBE)
        return _pos_order(cancelled)

    def import_menu(self) -> Exchange[Menu]:
        """Return the site's whole menu, which travels as it is."""
        odd = OddObjects()
        menu = yield from ask(Request("GET", "/menu", odd.reading(Menu, MENU_OBJECTS)))
        return menu.model_copy(update={"faults": (*menu.faults, *odd.faults_of_whole_menu())})

    def store_currency(self) -> Exchange[str]:
        """Return the store's currency, empty if the POS doesn't say it."""
        health = yield from ask(_HEALTH)
        return health.currency

    def check(self) -> Exchange[Readiness]:
        """Check the connection, the store and its register."""
        try:
            health = yield from ask(_HEALTH)
        except PosError as error:
            return Readiness(findings=(Finding.unseen("connection", error),))
        connection = Finding(
            what="connection",
            ok=True,
            text="the POS answers and accepts the signature",
        )
        message = health.message
        store = _finding("store open", health.store_open, message, Reason.CLOSED)
        register = _finding(
            "register online", health.register_online, message, Reason.REGISTER_OFFLINE
        )
        currency = currency_findings(health.currency, self.config.currency)
        return Readiness(findings=(connection, store, register, *currency))

    def parse_webhook(self, webhook: Webhook, now: float) -> Sequence[WebhookEvent]:
        """Return the one event of a webhook, which is signed as our requests are.

        A POS may send its order as it answers with it, with more fields than an event has.
        """
        verify_webhook(webhook, self.config.signing_key, now)
        return (_EVENT.validate_json(webhook.body, extra="ignore"),)


_HEALTH = Request("GET", "/health", reading(Health))


def _order_path(pos_id: str) -> str:
    return f"/orders/{path_segment(pos_id)}"


def _fetching(pos_id: str) -> Request[PosStatus]:
    return Request("GET", _order_path(pos_id), reading_about(PosStatus, pos_id))


def _finding(what: str, ok: bool, message: str, reason: Reason) -> Finding:
    answer = "yes" if ok else message or "no"
    return Finding.of(what, ok, f"{what}: {answer}", Actor.STORE, reason)


def _pos_order(status: PosStatus) -> PosOrder:
    return PosOrder(**status.model_dump(exclude={"tax"}))


def _verified(status: PosStatus, order: Order) -> PosOrder:
    """Return the order as the POS has it.

    Raises what staff must correct in its total. One that staff rejected or cancelled isn't compared
    any more.
    """
    pos_order = _pos_order(status)
    is_over = status.state in (PosState.REJECTED, PosState.CANCELLED)
    if is_over:
        return pos_order
    if status.total == order.total:
        notice = None if status.tax is None else tax_difference(order, status.tax)
        notices = pos_order.notices if notice is None else (*pos_order.notices, notice)
        return pos_order.model_copy(update={"notices": notices})
    difference = abs(status.total - order.total)
    parts = len(order.lines) + len(order.charges)
    # Included taxes are rounded, too. How many there are isn't known without the menu.
    only_rounding = difference <= most_rounding(parts, len(order.taxes) or 1)
    tax_is_missing = order.tax and status.total == order.total - order.tax
    kind = TaxError if tax_is_missing or only_rounding else MenuError
    at_pos = format_money(status.total, order.currency)
    paid = format_money(order.total, order.currency)
    raise kind(
        f"the POS has the order at {at_pos}, paid was {paid}",
        reason="rounding_created" if only_rounding else "created",
        pos_order=pos_order,
    )
