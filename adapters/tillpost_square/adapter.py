"""The Square adapter: every operation reads top to bottom, and none does any I/O.

Bringing an order onto the register takes two calls, CreateOrder and a payment, because an unpaid
order never shows there. So `submit` creates the order and pays it, and `finish` pays an order that
was created earlier. If it can't be paid, it is undone and the reason raised. Square's answers are
modelled in `wire`; `translation` builds its orders, `error_table` maps its errors, `status` its
states.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias, TypeVar
from urllib.parse import quote as escaped

from pydantic import BaseModel, ValidationError

from tillpost.adapter import (
    EVERY_FEATURE,
    Account,
    Adapter,
    Applied,
    Attempt,
    AuthorisationRequest,
    Credentials,
    Draft,
    Effect,
    Exchange,
    Finding,
    Found,
    KeyRetiredError,
    Menu,
    MenuError,
    OddObjects,
    Order,
    OrderError,
    OrderFeature,
    OutageError,
    PermissionsError,
    PosError,
    PosOrder,
    PosState,
    Problem,
    Progress,
    Readiness,
    Request,
    Response,
    SetupError,
    SetupFault,
    Signed,
    Webhook,
    WebhookEvent,
    ask,
    ask_list,
    ask_with_answer,
    oauth,
    passing_over_odd_rows,
    path_segment,
    reading,
    reading_where,
    searched_from,
    ticket_reference,
    to_body,
)
from tillpost_square import oauth as square_oauth
from tillpost_square import wire
from tillpost_square.adjustments import has_taxed_charge
from tillpost_square.catalogue import TYPES, CatalogueChanges, changes_of, menu_of
from tillpost_square.checks import (
    REGISTER_STEPS,
    location_findings,
    token_findings,
    unseen_location,
)
from tillpost_square.error_table import STALE_VERSION, TABLE
from tillpost_square.names import has_unnoted_names, name_notices, with_names
from tillpost_square.reasons import is_only_rounding, mismatch
from tillpost_square.rounding import adjustment, with_tax_notices
from tillpost_square.settings import SquareSettings
from tillpost_square.status import CLOSED, draft_of, is_paid, is_replayed, pos_order
from tillpost_square.translation import (
    attention_ticket,
    check_payable,
    digest_key,
    payment,
    total_due,
    translate,
)
from tillpost_square.webhooks import read_notification

__all__ = ["Square"]

M = TypeVar("M", bound=BaseModel)
R = TypeVar("R")
P = TypeVar("P", bound=wire.Page)

Body: TypeAlias = dict[str, object]

MOST_IN_PAGE = 100
"""Orders in a page of a search.

500, the usual number, could be too large an answer.
"""

MOST_RESTARTS = 2
"""How often a list is read from its beginning again, because its cursor expired."""

MOST_CHANGES = 4
"""How often an order is changed at once, before it is paid.

That is a discount and a service charge for a rounding, the notes of names, and one that met an old
version.
"""

# unconfirmed: that an expired cursor is refused with this code; one used after 5 minutes in a
# sandbox would show it.
EXPIRED_CURSOR = "INVALID_CURSOR"


class Square(Adapter[SquareSettings]):
    """Square: Orders, Payments, Catalog and Locations API, release 2025-08-20."""

    platform = "square"
    title = "Square"
    settings = SquareSettings
    errors = TABLE
    keyed = True
    compares_totals = True
    # An unpaid order never shows on the register (developer documentation).
    carries = EVERY_FEATURE - {OrderFeature.AMOUNT_DUE}
    # unconfirmed: for how long Square knows a key; it publishes no time (developer forum, threads
    # 28303 and 28309). Sending CreateOrder to a sandbox again after some days would show it.
    key_lifetime = timedelta(hours=24).total_seconds()
    public_fields = frozenset(
        "uid name location_id location_ids reference_id order_id payment_id payment_ids "
        "idempotency_key catalog_object_id catalog_version modifier_list_id quantity scope "
        "calculation_phase inclusion_type percentage pricing_type variation_name item_type sku "
        "schedule_type pickup_at deliver_at accepted_at ready_at picked_up_at rejected_at "
        "canceled_at expired_at placed_at closed_at expires_at start_at end_at begin_time "
        "sort_field sort_order states object_types scopes capabilities latest_time "
        "prep_time_duration".split()
    )
    # unconfirmed: that the header with Square's own mark of a request is the usual x-request-id;
    # any answer would show it.
    register_steps = REGISTER_STEPS

    def __init__(self, settings: SquareSettings) -> None:
        super().__init__(settings)
        self.look_after = settings.look_after

    def sign(self, request: Request[Any], credentials: Credentials) -> Signed:
        """Add the token and the pinned API version.

        An OAuth request gets its secrets instead.
        """
        signed = square_oauth.signed_oauth_request(request, credentials)
        if signed is None:
            signed = super().sign(request, credentials)
        return Signed({**signed.headers, "Square-Version": self.config.square_version}, signed.body)

    def problems(self, response: Response) -> Sequence[Problem]:
        """Return the entries of `errors`. Bulk endpoints send them with a 200 as well."""
        # Searching backwards takes a third of the time that `in` takes.
        if response.body.rfind(b'"errors"') < 0:
            return ()
        try:
            entries = wire.ErrorBody.model_validate_json(response.body).errors
        except ValidationError:
            return ()
        return [Problem(entry.code, entry.field, entry.detail) for entry in entries]

    def needs_menu_for(self, order: Order) -> bool:
        """Return whether a charge is taxed: the menu says with which taxes."""
        return has_taxed_charge(order, self.config)

    # Submitting
    # ---------------------------------------------------------------------------------------------

    def submit(self, order: Order, attempt: Attempt) -> Exchange[PosOrder]:
        """Create the order, compare totals, and pay it.

        The key depends on neither content nor clock.
        """
        body, notices = translate(order, attempt, self.config)
        check_payable(order)  # what can't be paid isn't created
        key = f"{order.id}-{attempt.generation}"
        create = replace(_creating(order.id, key, body), notices=notices)
        created, answer = yield from ask_with_answer(create)
        names_none = not created.order.reference_id
        currency = created.order.total_money.currency
        is_in_another_currency = currency not in ("", order.currency)
        if names_none or is_in_another_currency or is_replayed(created.order, answer):
            # The answer doesn't say whose order it is, is wrong, or is old: only the order itself
            # shows that, and what has happened to it since.
            return (yield from self._settle(order, created.order.id, None, notices))
        if has_unnoted_names(order, created.order):
            return (yield from self._settle(order, created.order.id, None, notices))
        draft = draft_of(created.order)
        return (yield from self._pay_or_undo(order, draft, notices, created.order))

    def finish(self, order: Order, draft: Draft) -> Exchange[PosOrder]:
        """Pay an order that was created, or undo it and raise why it can't be paid.

        The notices of its translation are those of its create, which core has recorded.
        """
        current = yield from self._fetch(draft.id)
        was_changed = draft.version > 1  # since it was created, perhaps by `_changed`
        if was_changed or (current.state == "OPEN" and has_unnoted_names(order, current)):
            return (yield from self._settle(order, draft.id, None, ()))
        return (yield from self._pay_or_undo(order, draft, (), current))

    def _pay_or_undo(
        self,
        order: Order,
        draft: Draft,
        notices: Sequence[str],
        seen: wire.CreatedOrder | wire.PricedOrder,
    ) -> Exchange[PosOrder]:
        refusal: PosError | None = None
        if draft.total == total_due(order, self.config):
            try:
                yield from self._pay(order, draft)
            except PosError as error:
                if not _is_final(error):
                    raise
                refusal = error
            else:
                notices = with_tax_notices(order, seen, notices)
                return PosOrder(
                    id=draft.id,
                    reference=order.id,
                    status="OPEN",
                    total=order.total,
                    notices=tuple(notices),
                )
        return (yield from self._settle(order, draft.id, refusal, notices))

    def _pay(self, order: Order, draft: Draft) -> Exchange[None]:
        """Record the payment.

        Its key follows from Square's id of the order, so it changes with the generation.
        """
        key = digest_key("pay", draft.id)
        if draft.total == 0:  # CreatePayment takes no amount of 0 (developer forum, thread 1866)
            path = f"{_order_path(draft.id)}/pay"
            pay = _post(path, wire.OneCreated, Effect.ADVANCE, key, payment_ids=[])
            read = reading_where(wire.OneCreated, lambda paid: paid.order.id == draft.id)
            yield from ask(replace(pay, read=read))
            return
        body = payment(order, draft.id, self.config)
        pay_amount = _post("/v2/payments", wire.Paid, Effect.ADVANCE, key, **body)
        read_paid = reading_where(wire.Paid, lambda paid: paid.payment.order_id in ("", draft.id))
        paid = yield from ask(replace(pay_amount, read=read_paid))
        status = paid.payment.status
        if status in ("CANCELED", "FAILED"):
            raise OrderError(f"Square refused the payment with the status {status}", code=status)
        if not paid.payment.order_id:
            current = yield from self._fetch(draft.id)
            if not is_paid(current):
                text = "Square doesn't report which order was paid"
                raise OutageError(text, applied=Applied.MAYBE)

    def _settle(
        self,
        order: Order,
        square_id: str,
        refusal: PosError | None,
        notices: Sequence[str],
    ) -> Exchange[PosOrder]:
        """Decide by the order's current state, and pay it or undo it.

        The answer to a repeated create may be old, and so may a draft that was found earlier.

        Args:
            order: The order.
            square_id: Square's id of the order.
            refusal: Why the payment was refused, None if it wasn't tried.
            notices: The notices of the order that is returned.

        Raises:
            PosError: Why the order was undone.
            KeyRetiredError: The order was cancelled earlier.
        """
        original_notices = notices
        changes_left = MOST_CHANGES
        undo_tries = 0
        while True:
            current = yield from self._fetch(square_id)
            if current.reference_id != order.id:
                text = "Square's order has another reference or none, so it may not be ours"
                raise OutageError(text, applied=Applied.MAYBE) from refusal
            notices = _with_notices(order, current, original_notices)
            if is_paid(current):
                return pos_order(current, notices)
            # The state comes before the words of a refusal.
            if current.state == "CANCELED":
                if refusal is None and self._is_free(order, current):
                    return pos_order(current, notices)
                text = "the order made under this key was cancelled before it was paid"
                raise KeyRetiredError(text) from refusal
            if _was_paid_before(refusal) and self._is_free(order, current):
                return pos_order(current, notices)
            due = total_due(order, self.config)
            reason = mismatch(order, current, due) or refusal
            is_in_another_currency = reason is not None and reason.reason == "currency"
            if refusal is None and changes_left and not is_in_another_currency:
                changes_left -= 1
                try:
                    changes, purpose = _changes(order, current, due)
                except OrderError as error:
                    reason = reason or error
                else:
                    is_changed = yield from self._changed(current, changes, purpose)
                    if is_changed:
                        continue
            if reason is None:
                draft = draft_of(current)
                return (yield from self._pay_or_undo(order, draft, notices, current))
            undo_tries += 1
            try:
                read = reading_where(wire.OneCancelled, lambda undone: undone.order.id == square_id)
                yield from ask(self._cancellation(current, read))
            except PosError as error:
                if error.code not in STALE_VERSION:
                    raise error from reason
                if undo_tries > 1:
                    text = "somebody else is changing the order"
                    raise OutageError(text, code=error.code) from reason
                continue  # with the order's new version
            raise reason

    def _changed(
        self, current: wire.PricedOrder, changes: Body | None, purpose: str
    ) -> Exchange[bool]:
        """Change an unpaid order: make up for a rounding of the tax, or note a name.

        Returns whether the order may have changed. What Square refuses for good leaves it as it is.
        The key follows from the version, as that of the cancellation does.

        unconfirmed: that an unpaid order takes a service charge or a discount by UpdateOrder under
        a `uid` of ours, and a new note of a line; the developer documentation says that these can
        be added and changed, and a sandbox's order would show it.
        """
        if changes is None:
            return False
        order = {"location_id": self.config.location_id, "version": current.version, **changes}
        key = digest_key(purpose, current.id, current.version)
        read = reading_where(wire.OneOrder, lambda answer: answer.order.id == current.id)
        body = to_body(idempotency_key=key, order=order)
        change = Request("PUT", _order_path(current.id), read, body, Effect.ADVANCE, key)
        try:
            yield from ask(change)
        except PosError as error:
            if error.code not in STALE_VERSION and not _is_final(error):
                raise
            return error.code in STALE_VERSION
        return True

    def _cancellation(self, current: wire.SquareOrder, read: Callable[[bytes], M]) -> Request[M]:
        """Return the UpdateOrder that cancels an order and its fulfilments.

        Square refuses to cancel an order before its fulfilments, so both are in one request. The
        state of a paid order stays. An UpdateOrder without a new key is answered with a 200 and
        does nothing (developer documentation: Update orders), so the key follows from the version.
        """
        cancelled = [
            {"uid": fulfilment.uid, "state": "CANCELED"}
            for fulfilment in current.fulfillments
            if fulfilment.state not in CLOSED
        ]
        changes: dict[str, object] = {
            "location_id": self.config.location_id,
            "version": current.version,
            "fulfillments": cancelled,
        }
        if not is_paid(current):
            changes["state"] = "CANCELED"
        key = digest_key("undo", current.id, current.version)
        body = to_body(idempotency_key=key, order=changes)
        return Request("PUT", _order_path(current.id), read, body, Effect.UNDO, key)

    def attention(self, order: Order, number: int) -> Exchange[PosOrder]:
        """Create a ticket of ad-hoc lines at a price of 0.

        It is marked as paid, or undone.

        unconfirmed: that the Point of Sale shows, and prints, an order of 0 that PayOrder has
        marked as paid, and the note of its line; one in a sandbox, and a look at a Point of Sale,
        would show it.
        """
        body = attention_ticket(order, self.config)
        key = f"{order.id}-{number}-ticket"
        created = yield from ask(_creating(str(body["reference_id"]), key, body))
        draft = draft_of(created.order)
        try:
            if draft.total:
                raise OrderError("the attention ticket has a price")
            yield from self._pay(order, draft)
        except PosError as error:
            if not _was_paid_before(error):
                if error.applied is Applied.NO and not error.transient:
                    yield from self.cancel(draft.id)
                raise
            # The state comes before the words of a refusal.
            current = yield from self._fetch(draft.id)
            if current.state == "CANCELED":
                raise OrderError("the attention ticket was cancelled") from error
        return PosOrder(id=draft.id, reference=ticket_reference(order), status="OPEN", total=0)

    # Looking up
    # ---------------------------------------------------------------------------------------------

    def find(self, order: Order, since: float | None) -> Exchange[Found]:
        """Search the location's recent orders: Square can't search by reference or key."""
        created_at = {"start_at": searched_from(order, since).isoformat()}
        query = {
            "filter": {"date_time_filter": {"created_at": created_at}},
            # It must be sorted by the field that is filtered by.
            "sort": {"sort_field": "CREATED_AT", "sort_order": "DESC"},
        }

        read = passing_over_odd_rows(
            reading(wire.OrdersPage), wire.SquareOrder, order.id, member="orders"
        )

        def page(cursor: str | None) -> Request[wire.OrdersPage]:
            search = _post(
                "/v2/orders/search",
                wire.OrdersPage,
                location_ids=[self.config.location_id],
                query=query,
                limit=MOST_IN_PAGE,
                cursor=cursor,
            )
            return replace(search, read=read)

        def ours_in(answer: wire.OrdersPage) -> Iterable[wire.SquareOrder]:
            return (each for each in answer.orders if each.reference_id == order.id)

        ours = yield from _all(page, ours_in)
        for each in ours:
            if is_paid(each) and each.state != "CANCELED":
                return _as_ordered(order, each)
        for each in ours:
            if each.state == "OPEN":
                return draft_of(each)
        # A copy that was cancelled after its payment counts only if there is no other.
        was_complete = (each for each in ours if is_paid(each) or self._is_free(order, each))
        return next((pos_order(each) for each in was_complete), None)

    def verify(self, order: Order, pos_id: str) -> Exchange[Found]:
        """Return the order with this id, if it is ours: a draft if it isn't paid."""
        current = yield from self._fetch(pos_id)
        if current.reference_id != order.id:
            return None
        if is_paid(current):
            return _as_ordered(order, current)
        if current.state == "OPEN":
            return draft_of(current)
        if not self._is_free(order, current):
            return None
        return pos_order(current)

    def _is_free(self, order: Order, seen: wire.SquareOrder) -> bool:
        """Return whether there was nothing to be paid, as ordered.

        Such an order never shows a payment. So one that was cancelled may have been complete, and
        cancelled by staff: it isn't made again.
        """
        total = seen.total_money
        return total is not None and total.amount == 0 == total_due(order, self.config)

    def fetch(self, pos_id: str) -> Exchange[PosOrder]:
        """Return the order's current state at Square."""
        current = yield from self._fetch(pos_id)
        return pos_order(current)

    def _fetch(self, square_id: str) -> Exchange[wire.PricedOrder]:
        read = reading_where(wire.OneOrder, lambda answer: answer.order.id == square_id)
        answer = yield from ask(Request("GET", _order_path(square_id), read))
        return answer.order

    def quote(self, order: Order, attempt: Attempt) -> Exchange[int]:
        """Return what Square would charge with the tip, in minor units.

        Nothing is created.
        """
        if attempt.menu is None and self.needs_menu_for(order):
            raise SetupError("import the menu first: it says which taxes the charges have")
        body = translate(order, attempt, self.config).order
        answer = yield from ask(_post("/v2/orders/calculate", wire.Calculated, order=body))
        due = total_due(order, self.config)
        reason = mismatch(order, answer.order, due)
        if reason is not None and reason.reason == "currency":
            raise reason
        if is_only_rounding(order, answer.order, due):
            return order.total  # `submit` makes up for a rounding
        tip_on_payment = order.total - due
        return answer.order.total_money.amount + tip_on_payment

    def cancel(self, pos_id: str) -> Exchange[PosOrder]:
        """Cancel what isn't done of the order yet. Refunds nothing.

        unconfirmed: that cancelling a paid order's fulfilments withdraws it from the register; the
        spec says only that a cancelled order isn't paid. Cancelling a paid pickup in a sandbox, and
        looking at a Point of Sale, would show it.
        """
        current = yield from self._fetch(pos_id)
        if current.state == "CANCELED":
            return pos_order(current)
        if is_paid(current) and _is_closed(current):
            raise OrderError(
                "nothing of the order is left to be cancelled; refund it at the register"
            )
        read = reading_where(wire.OneOrder, lambda undone: undone.order.id == pos_id)
        answer = yield from ask(self._cancellation(current, read))
        cancelled = answer.order
        if cancelled.state != "CANCELED" and not _is_closed(cancelled):
            raise OutageError("the order wasn't cancelled", applied=Applied.MAYBE)
        state = {"state": PosState.CANCELLED, "progress": Progress.CANCELLED}
        return pos_order(cancelled).model_copy(update=state)

    # The menu and the store
    # ---------------------------------------------------------------------------------------------

    def import_menu(self) -> Exchange[Menu]:
        """Return the location's whole menu, read page by page."""
        location = yield from self._location()
        odd = OddObjects()
        objects = yield from self._listed(TYPES, odd)
        return self._menu(objects, location, odd.faults_of_whole_menu())

    def _menu(
        self,
        objects: Iterable[wire.CatalogObject],
        location: wire.Location,
        faults: Sequence[SetupFault],
    ) -> Menu:
        taxes_apply = self.config.auto_apply_taxes
        now = datetime.now(UTC)
        return menu_of(objects, location, now, faults, taxes_apply=taxes_apply)

    def _listed(self, types: Sequence[str], odd: OddObjects) -> Exchange[list[wire.CatalogObject]]:
        """Return all objects of these types, but for those that can't be read."""
        read = odd.reading(wire.CatalogPage, wire.CATALOG_OBJECTS)

        def page(cursor: str | None) -> Request[wire.CatalogPage]:
            onward = f"&cursor={escaped(cursor, safe='')}" if cursor else ""
            return Request("GET", f"/v2/catalog/list?types={','.join(types)}{onward}", read)

        return _all(page, lambda answer: answer.objects)

    def menu_for(self, order: Order) -> Exchange[Menu | None]:
        """Return a menu of the order's items, with all that belongs to them.

        A variation leads to its item, and the item to its modifier lists and taxes: each answer has
        what is one step away (spec: BatchRetrieveCatalogObjects). The taxes are all read: a charge
        may have one that no item of the order has.
        """
        ordered = dict.fromkeys(line.item_id for line in order.lines if not line.is_open)
        variation_ids = list(ordered)
        if not variation_ids:
            return None
        odd = OddObjects()
        found = yield from ask(_retrieving(variation_ids, odd))
        item_ids = [each.id for each in found.related_objects if each.item_data]
        if not item_ids:
            return None
        whole = yield from ask(_retrieving(item_ids, odd))
        taxes = yield from self._listed(("TAX",), odd)
        location = yield from self._location()
        objects = {each.id: each for each in (*whole.objects, *whole.related_objects, *taxes)}
        return self._menu(objects.values(), location, odd.faults)

    def changed_since(self, begin_time: datetime) -> Exchange[CatalogueChanges]:
        """Return what was changed or deleted in the catalogue after a time.

        The time comes with its offset.
        """
        begin = begin_time.astimezone(UTC).isoformat()

        def page(cursor: str | None) -> Request[wire.CatalogPage]:
            return _post(
                "/v2/catalog/search",
                wire.CatalogPage,
                object_types=TYPES,
                include_deleted_objects=True,
                begin_time=begin,
                cursor=cursor,
            )

        until = ""

        def objects_of(answer: wire.CatalogPage) -> Iterable[wire.CatalogObject]:
            nonlocal until
            until = answer.latest_time
            return answer.objects

        objects = yield from _all(page, objects_of)
        return changes_of(objects, until=until)

    def store_currency(self) -> Exchange[str]:
        """Return the location's currency."""
        location = yield from self._location()
        return location.currency

    def check(self) -> Exchange[Readiness]:
        """Check the token, its scopes and the location.

        What can't be read is a finding too.
        """
        findings: list[Finding] = []
        try:
            token = yield from ask(_post("/oauth2/token/status", wire.TokenStatus))
            findings += token_findings(token, datetime.now(UTC))
        except PosError as error:
            findings.append(Finding.unseen("token", error))
        token_is_valid = findings[0].ok
        try:
            location = yield from self._location()
            findings += location_findings(location, self.config.currency)
        except PosError as error:
            findings.append(unseen_location(error, token_is_valid=token_is_valid))
        return Readiness(findings=tuple(findings))

    def _location(self) -> Exchange[wire.Location]:
        path = f"/v2/locations/{path_segment(self.config.location_id)}"
        answer = yield from ask(_get(path, wire.LocationAnswer))
        return answer.location

    # Access and webhooks
    # ---------------------------------------------------------------------------------------------

    @classmethod
    def authorize_url(cls, base_url: str, request: AuthorisationRequest) -> str:
        """Return Square's page on which an admin of the store grants access."""
        return square_oauth.authorize_url(base_url, request)

    def exchange_code(self, credentials: Credentials) -> Exchange[Credentials]:
        """Return the credentials for an authorisation code."""
        return oauth.exchange_code(square_oauth.TOKEN_PATH, credentials)

    def refresh(self, credentials: Credentials) -> Exchange[Credentials]:
        """Return a new access token. They last 30 days (developer documentation)."""
        return oauth.refresh(square_oauth.TOKEN_PATH, credentials)

    def account(self) -> Exchange[Account]:
        """Return the merchant that granted access, the scopes and the locations."""
        return square_oauth.account()

    def revoke(self, credentials: Credentials) -> Exchange[None]:
        """Revoke all access that the merchant granted to the application."""
        return square_oauth.revoke(credentials)

    def parse_webhook(self, webhook: Webhook, now: float) -> Sequence[WebhookEvent]:
        """Return the event of a notification at this location."""
        return read_notification(webhook, self.config, now)


def _is_final(refusal: PosError) -> bool:
    """Return whether a refused payment leads to an undo.

    It does only if nothing was paid, and neither waiting nor reconnecting can help.
    """
    can_be_retried = refusal.transient or isinstance(refusal, PermissionsError)
    return refusal.applied is Applied.NO and not can_be_retried


def _was_paid_before(refusal: PosError | None) -> bool:
    """Return whether a payment was refused because there is one.

    That goes by the words alone. They count only at a total of 0, since such an order shows no
    payment. Any other order that is read shows whether it is paid.

    unconfirmed: the words, which the simulator shares; paying an order of 0 twice in a sandbox,
    under two keys, would show. The key is the same every time, so this matters only once Square has
    forgotten it.
    """
    return refusal is not None and "already paid" in refusal.detail.lower()


def _as_ordered(order: Order, seen: wire.SquareOrder) -> PosOrder:
    """Return the order as Square has it.

    Raises if it has other lines than were ordered.
    """
    found = pos_order(seen, _with_notices(order, seen, ()))
    is_over = found.state in (PosState.REJECTED, PosState.CANCELLED)
    line_count = len(seen.line_items)
    if is_over or line_count in (0, len(order.lines)):  # 0: the answer leaves them out
        return found
    text = f"the POS has the order with {line_count} lines instead of {len(order.lines)}"
    raise MenuError(text, reason="created", pos_order=found)


def _with_notices(order: Order, seen: wire.SquareOrder, notices: Sequence[str]) -> tuple[str, ...]:
    """Return the notices, with those of a rounding and of names that Square shows."""
    return with_tax_notices(order, seen, (*notices, *name_notices(order, seen)))


def _changes(order: Order, current: wire.PricedOrder, due: int) -> tuple[Body | None, str]:
    """Return the next change of an unpaid order, and what it is for.

    The change is None if the order needs none.

    Raises:
        OrderError: Square's notes have no room for a name.
    """
    rounding = adjustment(order, current, due)
    if rounding:
        return rounding, "round"
    return with_names(order, current), "name"


def _is_closed(order: wire.SquareOrder) -> bool:
    return all(fulfilment.state in CLOSED for fulfilment in order.fulfillments)


def _order_path(square_id: str) -> str:
    return f"/v2/orders/{path_segment(square_id)}"


def _creating(reference: str, key: str, body: dict[str, object]) -> Request[wire.OneCreated]:
    """Return the CreateOrder.

    Its answer must not name another reference than was sent.
    """
    create = _post("/v2/orders", wire.OneCreated, Effect.CREATE, key, order=body)
    read = reading_where(
        wire.OneCreated, lambda created: created.order.reference_id in ("", reference)
    )
    return replace(create, read=read)


def _get(path: str, model: type[M]) -> Request[M]:
    return Request("GET", path, reading(model))


def _post(
    path: str,
    model: type[M],
    effect: Effect = Effect.NONE,
    key: str | None = None,
    **content: object,
) -> Request[M]:
    body = to_body(idempotency_key=key, **content)
    return Request("POST", path, reading(model), body, effect, key)


def _retrieving(object_ids: Sequence[str], odd: OddObjects) -> Request[wire.CatalogBatch]:
    retrieve = _post(
        "/v2/catalog/batch-retrieve",
        wire.CatalogBatch,
        object_ids=object_ids,
        include_related_objects=True,
    )
    return replace(retrieve, read=odd.reading(wire.CatalogBatch, wire.BATCH_OBJECTS))


def _all(
    page: Callable[[str | None], Request[P]], rows_of: Callable[[P], Iterable[R]]
) -> Exchange[list[R]]:
    """Read page after page, until one has no cursor.

    A cursor expires after 5 minutes (developer documentation: Pagination). Then the list is read
    from its beginning again.

    Args:
        page: Returns the request for the page at a cursor, None for the first.
        rows_of: Returns the rows of a page that are to be kept.
    """

    def next_page(answer: P, *_: object) -> Request[P] | None:
        return page(answer.cursor) if answer.cursor else None

    for _ in range(MOST_RESTARTS + 1):
        try:
            return (yield from ask_list(page(None), rows_of, next_page))
        except PosError as error:
            if error.code != EXPIRED_CURSOR:
                raise
    raise OutageError(f"the cursor of a list expired {MOST_RESTARTS + 1} times")
