"""The Square adapter: every operation reads top to bottom, and none does any I/O.

An order that staff can see takes two calls, CreateOrder and a payment, because an unpaid order
never shows on the register. So `submit` creates and `finish` pays, or undoes what was created and
raises why. What Square calls things is in `wire`, what an order looks like in `translation`, what
its errors mean in `table`, what its states mean in `status`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote as escaped

from pydantic import BaseModel, ValidationError

from tillpost.adapter import (
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
    Order,
    OrderError,
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
    Row,
    Signed,
    Webhook,
    WebhookEvent,
    ask,
    ask_with_answer,
    oauth,
    reading,
    searched_from,
    ticket_reference,
    to_body,
)
from tillpost_square import oauth as square_oauth
from tillpost_square import wire
from tillpost_square.catalogue import TYPES, CatalogueChanges, changes_of, menu_of
from tillpost_square.checks import (
    REGISTER_STEPS,
    location_findings,
    token_findings,
    unseen_location,
)
from tillpost_square.error_table import STALE_VERSION, TABLE
from tillpost_square.oauth import REVOKE, TOKEN, authorize_url
from tillpost_square.reasons import mismatch
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
P = TypeVar("P", bound=wire.Page)

MOST_PAGES = 1000
"""After so many pages an answer counts as one that never ends."""


class Square(Adapter[SquareSettings]):
    """Square: Orders, Payments, Catalog and Locations API, release 2025-08-20."""

    platform = "square"
    title = "Square"
    settings = SquareSettings
    errors: ClassVar[tuple[Row, ...]] = TABLE
    keyed = True
    public_fields = frozenset(
        "uid name location_id location_ids reference_id order_id payment_id payment_ids idempotency_key "
        "catalog_object_id catalog_version modifier_list_id quantity scope calculation_phase inclusion_type "
        "percentage pricing_type variation_name item_type sku schedule_type pickup_at deliver_at accepted_at ready_at "
        "picked_up_at rejected_at canceled_at expired_at placed_at closed_at expires_at start_at end_at begin_time "
        "sort_field sort_order states object_types scopes capabilities latest_time prep_time_duration".split()
    )
    # unconfirmed: that the header with Square's own mark of a request is the usual x-request-id;
    # any answer would tell.
    register_steps = REGISTER_STEPS

    def __init__(self, settings: SquareSettings) -> None:
        super().__init__(settings)
        self.look_after = settings.look_after

    def sign(self, request: Request[Any], credentials: Credentials) -> Signed:
        """Put the token and the pinned API version on the request; a token request carries its secrets in the body."""
        version = {"Square-Version": self.config.square_version}
        if request.path == TOKEN:
            headers = {"Content-Type": "application/json", "Accept": "application/json"}
            return Signed(headers | version, to_body(**oauth.token_fields(request, credentials)))
        if request.path == REVOKE and credentials.client_secret:
            headers = {"Content-Type": "application/json", "Accept": "application/json"}
            headers["Authorization"] = f"Client {credentials.client_secret.get_secret_value()}"
            named = {
                "client_id": credentials.client_id,
                "access_token": credentials.access_token.get_secret_value(),
            }
            return Signed(headers | version, to_body(**named))
        return Signed({**super().sign(request, credentials).headers, **version})

    def problems(self, response: Response) -> Sequence[Problem]:
        """Return the entries of `errors`. Bulk endpoints carry them in a 200 too."""
        if (
            response.body.rfind(b'"errors"') < 0
        ):  # backwards, which takes a third of the time that `in` takes
            return ()
        try:
            errors = wire.ErrorBody.model_validate_json(response.body).errors
        except ValidationError:
            return ()
        return [Problem(e.code, e.field, e.detail) for e in errors]

    # Submitting
    # -------------------------------------------------------------------------------------------------------

    def submit(self, order: Order, attempt: Attempt) -> Exchange[PosOrder]:
        """Create the order, compare totals, and pay it. The key never depends on content or clock."""
        body, notices = translate(order, attempt, self.config)
        check_payable(order)  # what can't be paid isn't created
        key = f"{order.id}-{attempt.generation}"
        made, answer = yield from ask_with_answer(
            _post("/v2/orders", wire.OneMade, Effect.CREATE, key, order=body)
        )
        if is_replayed(
            made.order, answer
        ):  # what has become of it since, only the order itself can tell
            return (yield from self._settle(order, made.order.id, None, notices))
        return (yield from self._pay_or_undo(order, draft_of(made.order), notices))

    def finish(self, order: Order, draft: Draft) -> Exchange[PosOrder]:
        """Pay an order that was created, or undo it and raise why it can't be paid."""
        return (
            yield from self._pay_or_undo(
                order, draft, translate(order, Attempt(), self.config).notices
            )
        )

    def _pay_or_undo(
        self, order: Order, draft: Draft, notices: Sequence[str]
    ) -> Exchange[PosOrder]:
        refusal: PosError | None = None
        if draft.total == total_due(order, self.config):
            try:
                yield from self._pay(order, draft)
                return PosOrder(
                    id=draft.id,
                    reference=order.id,
                    status="OPEN",
                    total=order.total,
                    notices=tuple(notices),
                )
            except PosError as error:
                # Only a refusal that says that nothing was paid, and that waiting can't mend, leads
                # to an undo.
                if (
                    error.applied is not Applied.NO
                    or error.transient
                    or isinstance(error, PermissionsError)
                ):
                    raise
                refusal = error
        return (yield from self._settle(order, draft.id, refusal, notices))

    def _pay(self, order: Order, draft: Draft) -> Exchange[None]:
        """Record the payment. Its key follows from Square's own id of the order, so it changes with the generation."""
        key = digest_key("pay", draft.id)
        if draft.total == 0:  # CreatePayment takes no amount of 0 (developer forum, thread 1866)
            yield from ask(
                _post(f"{_path(draft.id)}/pay", wire.OneMade, Effect.ADVANCE, key, payment_ids=[])
            )
            return
        body = payment(order, draft.id, self.config)
        paid = yield from ask(_post("/v2/payments", wire.Paid, Effect.ADVANCE, key, **body))
        if paid.payment.status in ("CANCELED", "FAILED"):
            raise OrderError(
                f"the payment came back as {paid.payment.status}", code=paid.payment.status
            )

    def _settle(
        self, order: Order, square_id: str, refusal: PosError | None, notices: Sequence[str]
    ) -> Exchange[PosOrder]:
        """Decide by the order as it is now: the answer to a repeated create, or a draft found earlier, may be old."""
        stale: PosError | None = None
        while True:
            now = (yield from ask(_get(_path(square_id), wire.OneOrder))).order
            if is_paid(now) or _says_paid(refusal):
                return pos_order(now, notices)
            if now.state == "CANCELED":
                raise KeyRetiredError(
                    "the order made under this key was cancelled before it was paid"
                ) from refusal
            reason = mismatch(order, now, total_due(order, self.config)) or refusal
            if reason is None:
                return (yield from self._pay_or_undo(order, draft_of(now), notices))
            try:
                yield from ask(self._cancellation(now, wire.OneCancelled))
            except PosError as error:
                if error.code not in STALE_VERSION:
                    raise error from reason
                if stale is not None:
                    raise OutageError(
                        "the order is being changed by somebody else", code=error.code
                    ) from reason
                stale = error
                continue
            raise reason

    def _cancellation(self, now: wire.SquareOrder, answer: type[M]) -> Request[M]:
        """Cancel the fulfilments with the order: Square refuses the one before the other. A paid order's state stays.

        An UpdateOrder without a new key is answered with a 200 and does nothing (developer
        documentation: Update orders), so the key is the version's.
        """
        changed: dict[str, object] = {
            "location_id": self.config.location_id,
            "version": now.version,
            "fulfillments": [
                {"uid": f.uid, "state": "CANCELED"}
                for f in now.fulfillments
                if f.state not in CLOSED
            ],
        }
        if not is_paid(now):
            changed["state"] = "CANCELED"
        key = digest_key("undo", now.id, now.version)
        body = to_body(idempotency_key=key, order=changed)
        return Request("PUT", _path(now.id), reading(answer), body, Effect.UNDO, key)

    # Looking
    # ----------------------------------------------------------------------------------------------------------

    def find(self, order: Order, since: float | None) -> Exchange[Found]:
        """Search the location's recent orders: Square can't search by reference, nor by key."""
        created = {"start_at": searched_from(order, since).isoformat()}
        query = {
            "filter": {"date_time_filter": {"created_at": created}},
            "sort": {
                "sort_field": "CREATED_AT",
                "sort_order": "DESC",
            },  # must be the field that is filtered by
        }

        def page(cursor: str | None) -> Request[wire.OrdersPage]:
            where = [self.config.location_id]
            return _post(
                "/v2/orders/search",
                wire.OrdersPage,
                location_ids=where,
                query=query,
                limit=500,
                cursor=cursor,
            )

        pages = yield from _pages(page)
        mine = [o for answer in pages for o in answer.orders if o.reference_id == order.id]
        paid = next((o for o in mine if is_paid(o)), None)
        if paid is not None:
            return pos_order(paid)
        unpaid = next((o for o in mine if o.state == "OPEN"), None)
        return draft_of(unpaid) if unpaid is not None else None

    def fetch(self, pos_id: str) -> Exchange[PosOrder]:
        """Return what Square says of the order now."""
        return pos_order((yield from ask(_get(_path(pos_id), wire.OneOrder))).order)

    def quote(self, order: Order, attempt: Attempt) -> Exchange[int]:
        """Return what Square would charge, in minor units, with the tip; nothing is created."""
        body = translate(order, attempt, self.config).order
        priced = yield from ask(_post("/v2/orders/calculate", wire.Calculated, order=body))
        return priced.order.total_money.amount + order.total - total_due(order, self.config)

    def cancel(self, pos_id: str) -> Exchange[PosOrder]:
        """Cancel what is still to be done of the order. Money isn't paid back: who captured it does that.

        unconfirmed: that cancelling a paid order's fulfilments withdraws it from the register; the
        spec says only that a cancelled order isn't paid. Cancelling a paid pickup in a sandbox, and
        looking at a Point of Sale, would tell.
        """
        now = (yield from ask(_get(_path(pos_id), wire.OneOrder))).order
        if now.state == "CANCELED":
            return pos_order(now)
        if is_paid(now) and all(f.state in CLOSED for f in now.fulfillments):
            raise OrderError(
                "nothing of the order is left to be cancelled; refund it at the register"
            )
        gone = (yield from ask(self._cancellation(now, wire.OneOrder))).order
        if gone.state != "CANCELED" and not all(f.state in CLOSED for f in gone.fulfillments):
            raise OutageError("the order wasn't cancelled", applied=Applied.MAYBE)
        return pos_order(gone).model_copy(
            update={"state": PosState.CANCELLED, "progress": Progress.CANCELLED}
        )

    def attention(self, order: Order, number: int) -> Exchange[PosOrder]:
        """Create a ticket of one ad-hoc line at a price of 0, and mark it as paid, or undo it and raise why.

        unconfirmed: that the Point of Sale shows, and prints, an order of 0 that PayOrder has
        marked as paid, and the note of its line; one in a sandbox, and a look at a Point of Sale,
        would tell.
        """
        body, key = attention_ticket(order, self.config), f"{order.id}-{number}-ticket"
        made = (
            yield from ask(_post("/v2/orders", wire.OneMade, Effect.CREATE, key, order=body))
        ).order
        draft = draft_of(made)
        try:
            if draft.total:
                raise OrderError("the attention ticket comes to a price")
            yield from self._pay(order, draft)
        except PosError as error:
            if error.applied is Applied.NO and not error.transient and not _says_paid(error):
                yield from self.cancel(draft.id)
            if not _says_paid(error):
                raise
        return PosOrder(id=draft.id, reference=ticket_reference(order), status="OPEN", total=0)

    # The menu and the store
    # -------------------------------------------------------------------------------------------

    def import_menu(self) -> Exchange[Menu]:
        """Return the location's whole menu, read page by page."""
        location = yield from self._location()
        types = ",".join(TYPES)

        def page(cursor: str | None) -> Request[wire.CatalogPage]:
            onward = f"&cursor={escaped(cursor, safe='')}" if cursor else ""
            return _get(f"/v2/catalog/list?types={types}{onward}", wire.CatalogPage)

        pages = yield from _pages(page)
        return menu_of((o for answer in pages for o in answer.objects), location, datetime.now(UTC))

    def changed_since(self, begin_time: datetime) -> Exchange[CatalogueChanges]:
        """Return what of the catalogue changed or was deleted after a time (with its offset)."""
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

        pages = yield from _pages(page)
        return changes_of((o for answer in pages for o in answer.objects), pages[-1].latest_time)

    def check(self) -> Exchange[Readiness]:
        """Look at the token, its scopes and the location. What can't be looked at is a finding too."""
        found: list[Finding] = []
        try:
            token = yield from ask(_post("/oauth2/token/status", wire.TokenStatus))
            found += token_findings(token, datetime.now(UTC))
        except PosError as error:
            found.append(Finding.unseen("token", error))
        try:
            found += location_findings((yield from self._location()))
        except PosError as error:
            found.append(unseen_location(error, let_in=found[0].ok))
        return Readiness(findings=tuple(found))

    # Access and webhooks
    # ----------------------------------------------------------------------------------------------

    @classmethod
    def authorize_url(cls, base_url: str, request: AuthorisationRequest) -> str:
        """Return Square's page on which an admin of the store grants access."""
        return authorize_url(base_url, request)

    def exchange_code(self, credentials: Credentials) -> Exchange[Credentials]:
        """Return the credentials that the code of an authorisation stands for."""
        return oauth.exchange_code(TOKEN, credentials)

    def refresh(self, credentials: Credentials) -> Exchange[Credentials]:
        """Return a new access token for an expired one. Access tokens last 30 days (developer documentation)."""
        return oauth.refresh(TOKEN, credentials)

    def account(self) -> Exchange[Account]:
        """Return the merchant that let us in, the scopes that were granted, and the locations."""
        return square_oauth.account()

    def revoke(self, credentials: Credentials) -> Exchange[None]:
        """Revoke all that the merchant has granted to the application."""
        return square_oauth.revoke(credentials)

    def parse_webhook(self, webhook: Webhook, now: float) -> Sequence[WebhookEvent]:
        """Return what a notification tells of this location."""
        return read_notification(webhook, self.config.webhook_secret, self.config.location_id, now)

    def _location(self) -> Exchange[wire.Location]:
        path = f"/v2/locations/{escaped(self.config.location_id, safe='')}"
        return (yield from ask(_get(path, wire.LocationAnswer))).location


def _says_paid(refusal: PosError | None) -> bool:
    """Whether a payment was refused because there was one before: an order of 0 doesn't show that in any field.

    unconfirmed: the words, which the simulator shares; paying an order of 0 twice in a sandbox,
    under two keys, would tell. The key is the same every time, so this matters only once Square has
    forgotten it.
    """
    return refusal is not None and "already paid" in refusal.detail.lower()


def _path(square_id: str) -> str:
    return f"/v2/orders/{escaped(square_id, safe='')}"


def _get(path: str, model: type[M]) -> Request[M]:
    return Request("GET", path, reading(model))


def _post(
    path: str,
    model: type[M],
    effect: Effect = Effect.NONE,
    key: str | None = None,
    **content: object,
) -> Request[M]:
    return Request(
        "POST", path, reading(model), to_body(idempotency_key=key, **content), effect, key
    )


def _pages(page: Callable[[str | None], Request[P]]) -> Exchange[list[P]]:
    """Ask for page after page, until one has no cursor."""
    pages: list[P] = []
    cursor: str | None = None
    while len(pages) < MOST_PAGES:
        pages.append((yield from ask(page(cursor))))
        cursor = pages[-1].cursor
        if not cursor:
            return pages
    raise OutageError(f"the answer didn't end after {MOST_PAGES} pages")
