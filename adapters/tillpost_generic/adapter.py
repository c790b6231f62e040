"""The generic adapter, whole: our own wire format, for a POS whose developer follows one page (`docs/generic`).

Orders and menus travel as they are. The POS compares totals before it makes anything, and its
refusals name our error classes. For a POS with an API of its own, a mapping file could one day
stand in for the models up to `ProblemDetails`.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from base64 import b64encode
from collections.abc import Sequence
from typing import Annotated, Any, Literal
from urllib.parse import quote

import httpx
from pydantic import BaseModel, Field, SecretStr, TypeAdapter, ValidationError

from tillpost.adapter import (
    Actor,
    Adapter,
    AdapterSettings,
    Amount,
    Attempt,
    Credentials,
    Effect,
    Exchange,
    Finding,
    Found,
    Looks,
    Menu,
    Order,
    PosOrder,
    PosState,
    Problem,
    Progress,
    Readiness,
    Reason,
    Request,
    Response,
    Row,
    Signed,
    Webhook,
    WebhookEvent,
    ask,
    check_age,
    format_money,
    reading,
    verify_hmac,
)
from tillpost.adapter import errors as e


class GenericSettings(AdapterSettings):
    """The settings of a generic connection.

    Attributes: base_url: where the POS serves the format, without `/orders` and the like.
        access_token: is sent as a bearer token, or with `username` as the password of basic
        authentication. signing_key: the secret that requests and webhooks are signed with; take 32
        random characters or more. allow_private: connect to addresses that aren't public too; only
        for an address that you chose yourself. look_after: when to look for an order that may be
        there, in seconds, each counted from the look before.
    """

    access_token: Annotated[SecretStr, Field(min_length=1, validate_default=True)] = SecretStr("")
    username: Annotated[str, Field(pattern=r"^[^:]*$")] = ""
    signing_key: Annotated[SecretStr, Field(min_length=1)]
    allow_private: bool = False
    look_after: Looks = (1.0, 3.0)

    def credentials(self) -> Credentials:
        """Return what requests are signed with: the token as it is sent, and the secret that is shared with the POS."""
        basic = SecretStr(
            b64encode(f"{self.username}:{self.access_token.get_secret_value()}".encode()).decode()
        )
        return Credentials(
            access_token=basic if self.username else self.access_token,
            client_secret=self.signing_key,
        )


class NewOrder(BaseModel):
    """An order to be made. `keep_paid`: its prices stand against the menu's. `remarks` belong on the docket."""

    order: Order
    expected_total: Amount
    keep_paid: bool = False
    remarks: tuple[str, ...] = ()


class PosStatus(BaseModel):
    """An order as the POS has it. `status` is the POS's own word; `total`, in minor units, is what the POS computed."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._~-]{0,99}$")]
    reference: str
    total: Amount
    state: PosState = PosState.RECEIVED
    progress: Progress = Progress.NEW
    status: str = ""
    notices: tuple[str, ...] = ()


class Health(BaseModel):
    """Whether the store takes online orders, and whether its register is connected. `message` is for staff."""

    store_open: bool
    register_online: bool
    message: str = ""


class ProblemDetails(BaseModel):
    """Why a request is refused (RFC 9457). `lines` count from 0; `item` is the id of an item or option of the order."""

    kind: str
    detail: str = ""
    lines: tuple[Annotated[int, Field(ge=0)], ...] = ()
    item: str = ""
    reason: Literal["", "gone", "sold_out", "price", "choices", "quantity", "table", "scopes"] = ""
    retry_after: Annotated[float, Field(ge=0, le=10**9)] | None = None


def signed_text(timestamp: str, method: str, target: str, key: str, body: bytes) -> bytes:
    """Return what a signature is made of. `target` is path and query as sent; `key` is the idempotency key or ""."""
    return "\n".join((timestamp, method, target, key, hashlib.sha256(body).hexdigest())).encode()


def kind(error: type[e.PosError], applied: e.Applied = e.Applied.NO) -> Row:
    """Return the row of one kind: the POS names the error itself, and the lines or the item that it is about."""
    return Row(error, codes=frozenset({error.__name__}), field=r"^(?P<item>.+)?", applied=applied)


class Generic(Adapter[GenericSettings]):
    """Any POS that serves Tillpost's own format."""

    platform, title, settings, keyed = "generic", "Generic POS", GenericSettings, True
    public_fields = frozenset(
        "reference item_id modifier_id sku item reason progress due_at placed_at".split()
    )
    errors = (
        *map(
            kind,
            (
                e.PermissionsError,
                e.RateLimitError,
                e.RegisterOfflineError,
                e.StoreClosedError,
                e.TaxError,
            ),
        ),
        *map(kind, (e.MenuError, e.OrderError, e.SetupError, e.UnknownPosError)),
        *(kind(error, e.Applied.MAYBE) for error in (e.OutageError, e.DoubtError)),
    )

    def __init__(self, settings: GenericSettings) -> None:
        super().__init__(settings)
        self.look_after, self.public_only = settings.look_after, not settings.allow_private

    def sign(self, request: Request[Any], credentials: Credentials) -> Signed:
        """Sign the request as it goes on the wire, at this time."""
        now, target = (
            str(int(time.time())),
            httpx.URL(self.config.base_url + request.path).raw_path.decode(),
        )
        text = signed_text(now, request.method, target, request.key or "", request.body)
        signature = hmac.new(
            self.config.signing_key.get_secret_value().encode(), text, "sha256"
        ).hexdigest()
        headers = {**super().sign(request, credentials).headers, "Tillpost-Timestamp": now}
        headers |= {"Tillpost-Signature": signature} | (
            {"Idempotency-Key": request.key} if request.key else {}
        )
        basic = {"Authorization": f"Basic {credentials.access_token.get_secret_value()}"}
        return Signed(headers | (basic if self.config.username else {}))

    def problems(self, response: Response) -> Sequence[Problem]:
        """Return the problem in a refusal; none when it isn't in our words."""
        try:
            told = ProblemDetails.model_validate_json(
                response.body if response.status >= 400 else b""
            )
        except ValidationError:
            return ()
        return [
            Problem(told.kind, told.item, told.detail, told.lines, told.reason, told.retry_after)
        ]

    def submit(self, order: Order, attempt: Attempt) -> Exchange[PosOrder]:
        """Make the order: one call, since it is paid. The POS refuses it when it comes to another total."""
        new = NewOrder(
            order=order,
            expected_total=order.total,
            keep_paid=attempt.keep_paid,
            remarks=attempt.remarks,
        )
        key, body = (
            f"{order.id}-{attempt.generation}",
            new.model_dump_json(exclude_none=True).encode(),
        )
        made = yield from ask(
            Request("POST", "/orders", reading(PosStatus), body, Effect.CREATE, key)
        )
        if made.reference != order.id:
            raise e.OutageError("the POS answered about another order", applied=e.Applied.MAYBE)
        return pos_order(made, order)

    def find(self, order: Order, since: float | None) -> Exchange[Found]:
        """Look for the order by its reference. One that was withdrawn counts only when there is no other."""
        path = f"/orders?reference={quote(order.id, safe='')}"
        found = yield from ask(
            Request("GET", path, TypeAdapter(tuple[PosStatus, ...]).validate_json)
        )
        mine = sorted(
            (o for o in found if o.reference == order.id),
            key=lambda o: o.state is PosState.CANCELLED,
        )
        return pos_order(mine[0], order) if mine else None

    def fetch(self, pos_id: str) -> Exchange[PosOrder]:
        """Return what the POS says of the order now."""
        return pos_order(
            (
                yield from ask(
                    Request("GET", f"/orders/{quote(pos_id, safe='')}", reading(PosStatus))
                )
            )
        )

    def cancel(self, pos_id: str) -> Exchange[PosOrder]:
        """Withdraw the order at the POS."""
        path, key = f"/orders/{quote(pos_id, safe='')}/cancel", f"cancel-{pos_id}"
        gone = yield from ask(
            Request("POST", path, reading(PosStatus), effect=Effect.UNDO, key=key)
        )
        if gone.state is not PosState.CANCELLED:
            raise e.OutageError("the order wasn't cancelled", applied=e.Applied.MAYBE)
        return pos_order(gone)

    def import_menu(self) -> Exchange[Menu]:
        """Return the site's whole menu, which comes as we have it."""
        return (yield from ask(Request("GET", "/menu", reading(Menu))))

    def check(self) -> Exchange[Readiness]:
        """Look at the connection, the store and the register."""
        try:
            health = yield from ask(Request("GET", "/health", reading(Health)))
        except e.PosError as why:
            return Readiness(findings=(Finding.unseen("connection", why),))
        found = [
            Finding(what="connection", ok=True, text="the POS answers and accepts the signature")
        ]
        stops = {"store open": Reason.CLOSED, "register online": Reason.REGISTER_OFFLINE}
        for (what, reason), ok in zip(
            stops.items(), (health.store_open, health.register_online), strict=True
        ):
            said = f"{what}: {'yes' if ok else health.message or 'no'}"
            found.append(Finding.of(what, ok, said, Actor.STORE, reason))
        return Readiness(findings=tuple(found))

    def parse_webhook(self, webhook: Webhook, now: float) -> Sequence[WebhookEvent]:
        """Return the one event that a webhook holds. It is signed as our requests are."""
        sent_at, target = (
            webhook.headers.get("tillpost-timestamp", ""),
            httpx.URL(webhook.url).raw_path.decode(),
        )
        text = signed_text(sent_at, "POST", target, "", webhook.body)
        verify_hmac(self.config.signing_key, webhook.headers.get("tillpost-signature"), text, "hex")
        check_age(float(sent_at), now)
        event = TypeAdapter[WebhookEvent](Annotated[WebhookEvent, Field(discriminator="kind")])
        return (event.validate_json(webhook.body),)


def pos_order(found: PosStatus, order: Order | None = None) -> PosOrder:
    """Return an order as the POS has it; raise what staff have to correct when `order` was paid with another total."""
    there = PosOrder(**found.model_dump())
    if order is None or found.total == order.total:
        return there
    had, paid = format_money(found.total, order.currency), format_money(order.total, order.currency)
    wrong = e.TaxError if order.tax and found.total == order.total - order.tax else e.MenuError
    raise wrong(
        f"the POS has the order at {had}, paid was {paid}", reason="created", pos_order=there
    )
