"""The Kounta adapter: every operation reads top to bottom, and none does any I/O.

Kounta takes no key, so core keeps the promise "never twice": it looks with `find`, on `look_after`,
before it sends anything again. Kounta checks little, so an order is read back, and one that comes
to another total is told as such.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote, urlencode

from tillpost.adapter import (
    Account,
    Actor,
    Adapter,
    Applied,
    Attempt,
    AuthorisationRequest,
    AvailabilityChanged,
    Billed,
    Choice,
    Credentials,
    DoubtError,
    Effect,
    Exchange,
    Finding,
    Found,
    Menu,
    Order,
    OrderChanged,
    PageHeaders,
    PosError,
    PosOrder,
    PosState,
    Problem,
    Product,
    Progress,
    Readiness,
    Reason,
    RegisterOfflineError,
    Request,
    Response,
    Row,
    SetupError,
    Signed,
    StoreClosedError,
    Webhook,
    WebhookEvent,
    as_note,
    ask,
    ask_pages,
    ask_when_there,
    ask_with_answer,
    find_or_make,
    id_in_location,
    itemise,
    menu_of_products,
    mixed,
    nothing,
    oauth,
    proved,
    reading,
    reading_about,
    reading_list,
    reference_in,
    searched_from,
    spelled_out,
    texts_in,
    ticket_reference,
    to_exact_body,
    to_major,
    verify_hmac,
)
from tillpost_kounta import wire
from tillpost_kounta.settings import REGISTER_STEPS, KountaSettings
from tillpost_kounta.table import TABLE

__all__ = ["Kounta"]

M = TypeVar("M", bound=wire.Thing)
_FIELDS = "categories,option_sets,availability,unit_price,unit_price_ex_tax,unit_tax,variants"
_PAGES = PageHeaders(onward="x-next-page", count="x-pages", number="x-page")
_PRINTING = "pass_thru_printing_register"
_MOST_NOTES = 2000
_READ_BACK = (0.5, 1.0, 2.0)  # seconds for which a new order may be a 404
# Staff accept or reject (vendor's page). A 201, SUBMITTED, ON_HOLD and PENDING only say that the
# cloud has it.
_DONE, _GONE = (PosState.ACCEPTED, Progress.COMPLETED), (PosState.CANCELLED, Progress.CANCELLED)
_REFUSED, _TAKEN = (PosState.REJECTED, Progress.CANCELLED), (PosState.ACCEPTED, Progress.ACCEPTED)
_DECIDED = {
    "ACCEPTED": _TAKEN,
    "COMPLETE": _DONE,
    "COMPLETED": _DONE,
    "REJECTED": _REFUSED,
    "DELETED": _GONE,
}


class Kounta(oauth.Tokens, Adapter[KountaSettings]):
    """Lightspeed Restaurant O-Series, formerly Kounta: REST API v1."""

    platform = "kounta"
    title = "Kounta"
    settings = KountaSettings
    errors: ClassVar[tuple[Row, ...]] = TABLE
    needs_menu = True
    webhooks_proved = False
    token_path = "/v1/token"  # noqa: S105  an address; its tokens last an hour (third-party code)
    public_fields = frozenset("sale_number order_type placed_at fulfil_at id_str rate code".split())
    register_steps = REGISTER_STEPS

    def __init__(self, settings: KountaSettings) -> None:
        super().__init__(settings)
        self.look_after, self.import_pace = settings.look_after, settings.import_pace
        self._company = f"/v1/companies/{settings.company_id}"
        self._site = f"{self._company}/sites/{settings.site_id}"

    def sign(self, request: Request[Any], credentials: Credentials) -> Signed:
        """Put the token on the request, or the client's secrets into a request for a token."""
        of_token = request.path == self.token_path
        return (
            oauth.signed_form(request, credentials)
            if of_token
            else super().sign(request, credentials)
        )

    def problems(self, response: Response) -> Sequence[Problem]:
        """Return the first text in any of the places where one was seen. A success may hold an error, too."""
        fine = response.status < 300
        said = {} if fine and b'"error' not in response.body else texts_in(response.body)
        places = ("error_description", "error_message", *(() if fine else ("message",)), "error")
        return [
            Problem(said.get("error", ""), text=said[place]) for place in places if place in said
        ][:1]

    def submit(self, order: Order, attempt: Attempt) -> Exchange[PosOrder]:
        """Make the order and read it back. A success that names no order leaves the doubt to core."""
        assert attempt.menu is not None  # see needs_menu
        body = self._body(order, attempt.menu, attempt.remarks)
        if self.config.check_first:
            status = yield from ask(self._status())
            if status.get("online_ordering") == "offline":
                raise StoreClosedError(
                    "online ordering is switched off at the site, or for this connection"
                )
            if self.config.pass_thru_printing and status.get(_PRINTING) == "offline":
                raise RegisterOfflineError(
                    "the site's register for pass-through printing is offline"
                )
        customer_id, notices = yield from self._customer(order)
        there = yield from self._make(order.id, **body, customer_id=customer_id)
        return (yield from self._proved(order, there, attempt.menu, notices))

    def _make(self, reference: str, **content: object) -> Exchange[wire.Order]:
        basis = {
            "site_id": int(self.config.site_id),
            "status": self.config.status,
            "sale_number": reference,
        }
        body = to_exact_body(**basis, **content)
        post = Request("POST", f"{self._company}/orders.json", nothing, body, Effect.CREATE)
        pos_id = id_in_location((yield from ask_with_answer(post))[1], "orders")
        if not pos_id:
            raise DoubtError("the answer names no order", applied=Applied.MAYBE)
        return wire.Order(id=pos_id, sale_number=reference, status=self.config.status)

    def attention(self, order: Order, number: int) -> Exchange[PosOrder]:
        """Make a ticket of the product that stands for it, unless there is one: Kounta takes no key.

        unconfirmed: that an order of 0 needs no payment, how long its notes may be, and that they
        are printed. One such order would tell.
        """
        if not (product := self.config.attention_product):
            raise SetupError(
                "the setting attention_product names no product that the ticket could go in as"
            )
        mark, created = (
            ticket_reference(order),
            searched_from(order, None).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
        for seen in (
            yield from self._all(
                f"{self._site}/orders.json?created_gte={created}&value_lte=1", wire.Order
            )
        ):
            if seen.sale_number == mark:
                return _pos_order(seen)
        line = {"product_id": int(product), "quantity": 1, "unit_price": 0}
        note = (
            f"ORDER ATTENTION REQUIRED\n{spelled_out(order, platform=self.title, most=_MOST_NOTES)}"
        )
        return _pos_order((yield from self._make(mark, notes=note, lines=[line])))

    def _body(self, order: Order, menu: Menu, remarks: Sequence[str]) -> dict[str, object]:
        """unconfirmed: the words of order_type but "Dine in", and how long notes may be; that modifiers, and choices
        from option sets among them, add their own price and tax to unit_price, and that price_variation counts for all
        of it; how Kounta rounds. Real orders with each of these, at odd prices and read back, would tell.
        """
        paid = [
            to_major(payment.amount, order.currency) for payment in order.payments if payment.amount
        ]
        method, lines = int(self.config.payment_method_id), itemise(order, menu, self.config)
        return {
            "order_type": order.fulfilment.type.replace("_", " ").capitalize(),
            "notes": as_note(order, remarks),
            "lines": [
                {"product_id": int(line.product_id), "quantity": line.quantity, "unit_price": line.price,
                 "price_variation": line.multiplier, "modifiers": [int(m) for m in line.modifiers] or None,
                 "notes": line.note or None}
                for line in lines
            ],
            "payments": [{"method_id": method, "amount": amount, "ref": order.id} for amount in paid],
            "complete_when_paid": False,
            "pass_thru_printing": self.config.pass_thru_printing,
            "callback_uri": self.config.callback_uri,
            "placed_at": order.placed_at.isoformat(timespec="seconds"),
            "fulfil_at": order.due_at.isoformat(timespec="seconds") if order.due_at else None,
        }  # fmt: skip

    def _customer(self, order: Order) -> Exchange[tuple[int | None, Sequence[str]]]:
        """Find the customer, which redirects to it (vendor's page), or make it. No order fails for it."""
        who, path = order.customer, f"{self._company}/customers.json"
        if who is None or not (who.email or who.phone):
            return None, ()
        first, _, last = who.name.partition(" ")
        named = {"first_name": first, "last_name": last or "-", "phone": who.phone}
        query = urlencode({"email": who.email} if who.email else named)
        look = Request("GET", f"{path}?{query}", nothing, answers=frozenset({302, 404}))
        make = Request("POST", path, nothing, to_exact_body(**named, email=who.email), Effect.SIDE)
        found = yield from find_or_make("customers", look, make)
        if found.isdecimal():
            return int(found), ()
        return None, (
            "The customer isn't linked in Kounta; name and phone are in the order's notes",
        )

    def _proved(
        self, order: Order, there: wire.Order, menu: Menu | None, notices: Sequence[str]
    ) -> Exchange[PosOrder]:
        """Read the order back and raise what is wrong with it. One that can't be read is there all the same."""
        try:
            seen = yield from ask_when_there(self._order(there.id), _READ_BACK)
        except PosError as error:
            return _pos_order(there, *notices, f"Kounta's total isn't proved: {error.detail}")
        bill = [
            Billed(x.product, x.line_total_ex_tax, x.line_total_tax, [t.name for t in x.taxes])
            for x in seen.lines
        ]
        return proved(order, self.config, bill, menu, _pos_order(seen, *notices))

    def find(self, order: Order, since: float | None) -> Exchange[Found]:
        """Search the site's recent orders around the total: far around it, since Kounta's may have come out wrong.

        The reference must stand whole in the sale number, a payment or the notes' first line.
        unconfirmed: that `value` is the total with its tax; whether /orders/saleid, which isn't
        asked, knows our number. One order would tell.
        """
        paid = to_major(order.total, order.currency)
        created = searched_from(order, since).strftime("%Y-%m-%dT%H:%M:%SZ")
        window = urlencode(
            {"created_gte": created, "value_gte": paid / 2 - 1, "value_lte": paid * 2 + 1}
        )
        for seen in (yield from self._all(f"{self._site}/orders.json?{window}", wire.Order)):
            if order.id in (
                seen.sale_number,
                reference_in(seen.notes),
                *(p.ref for p in seen.payments),
            ):
                return (yield from self._proved(order, seen, None, ()))
        return None

    def fetch(self, pos_id: str) -> Exchange[PosOrder]:
        """Return what Kounta says of the order now. One that was deleted at the register may be in that list alone."""
        try:
            return _pos_order((yield from ask(self._order(pos_id))))
        except PosError as error:
            if error.status_code == 404:
                for seen in (yield from self._all(f"{self._site}/orders/deleted.json", wire.Order)):
                    if seen.id == pos_id:
                        return _pos_order(seen.model_copy(update={"deleted": True}))
            raise

    def import_menu(self, anew: int = 2) -> Exchange[Menu]:
        """Return the site's menu. Taxes and modifiers that no list tells are asked for product by product.

        A product that is gone by then may be there under another id, so all is read `anew`, so
        often at most.
        """
        currency = yield from ask(Request("GET", f"{self._company}.json", wire.currency))
        taxes = yield from self._all(f"{self._company}/taxes.json", wire.Thing)
        listed = yield from self._all(f"{self._site}/products.json?fields={_FIELDS}", wire.Product)
        products: list[Product] = []
        for product in (
            each for each in listed if not each.variants
        ):  # a template can't be ordered (vendor's page)
            try:
                products.append((yield from self._sold(product, taxes)))
            except PosError as error:
                if error.status_code != 404 or not anew:
                    raise
                return (yield from self.import_menu(anew - 1))
        return menu_of_products(
            products, site=self.config.site_id, currency=currency, faults=mixed(products)
        )

    def _sold(self, product: wire.Product, taxes: Sequence[wire.Thing]) -> Exchange[Product]:
        known = wire.taxes_of(product, taxes)
        if known is None:
            read = reading_about(wire.Product, product.id)
            known = (
                yield from ask(Request("GET", f"{self._site}/products/{product.id}.json", read))
            ).taxes or ()
        modifiers = yield from self._all(
            f"{self._company}/products/{product.id}/modifiers.json", wire.Product
        )
        return wire.sold(product, known, modifiers, included=self.config.prices_include_tax)

    def check(self) -> Exchange[Readiness]:
        """Look at the site: is a device in use, is online ordering on, does the printing register get dockets?"""
        try:
            status = yield from ask(self._status())
        except PosError as error:
            return Readiness(findings=(Finding.unseen("connection", error),))
        words = {
            "devices": status.get("status", ""),
            "online ordering": status.get("online_ordering", ""),
        }
        words |= (
            {"pass-through printing register": status[_PRINTING]} if _PRINTING in status else {}
        )
        stops = {"devices": Reason.REGISTER_OFFLINE, "online ordering": Reason.CLOSED}
        stops |= (
            {"pass-through printing register": Reason.REGISTER_OFFLINE}
            if self.config.pass_thru_printing
            else {}
        )
        found = (
            # What isn't told, or isn't printed on, is in no order's way.
            Finding.of(what, word == "online", f"The site's {what}: {word or 'not told'}", Actor.STORE,
                       stops.get(what, Reason.OPEN) if word else Reason.OPEN)
            for what, word in words.items()
        )  # fmt: skip
        return Readiness(findings=tuple(found))

    @classmethod
    def authorize_url(cls, base_url: str, request: AuthorisationRequest) -> str:
        """Return Kounta's page, which isn't on the API's host as a simulator's is. No PKCE is known (vendor's page)."""
        page = f"{base_url.replace('://api.', '://my.', 1)}/authorize"
        return oauth.authorisation_page(page, request, response_type="code")

    def account(self) -> Exchange[Account]:
        """Return the company that let us in, its sites and its payment methods.

        unconfirmed: that companies/me is the company of the token; that all three take these paths.
        An answer of each would tell.
        """
        company = yield from ask(Request("GET", "/v1/companies/me.json", reading(wire.Thing)))
        found = {"company_id": [company]}
        for setting, listed in ("site_id", "sites"), ("payment_method_id", "payment_methods"):
            found[setting] = yield from self._all(
                f"/v1/companies/{company.id}/{listed}.json", wire.Thing
            )
        choices = {
            name: tuple(Choice(value=t.id, name=t.name) for t in things)
            for name, things in found.items()
        }
        return Account(name=company.name, choices=choices)

    def parse_webhook(self, webhook: Webhook, now: float) -> Sequence[WebhookEvent]:
        """Return what a webhook, or the callback of an order, tells of this site, by the object that is its body.

        unconfirmed: the key of the signature; that the body is the bare order or site, and names no
        topic; that no topic tells of the menu. One delivery of each topic would tell. No time is
        signed, so core looks orders up.
        """
        verify_hmac(
            self.config.webhook_secret,
            webhook.headers.get("x-kounta-signature"),
            webhook.body,
            "hex",
        )
        told = wire.Order.model_validate_json(webhook.body)
        # The changes of a site all look alike: `check` says what has changed.
        event = (
            OrderChanged(event_id=webhook.digest, pos_id=told.id)
            if told.site_id
            else AvailabilityChanged()
        )
        return (event,) if (told.site_id or told.id) == self.config.site_id else ()

    def _order(self, pos_id: str) -> Request[wire.Order]:
        path = f"{self._company}/orders/{quote(pos_id, safe='')}.json"
        return Request("GET", path, reading_about(wire.Order, pos_id))

    def _status(self) -> Request[dict[str, str]]:
        # unconfirmed: that the printing register's status is a plain word as the others are; an
        # answer would tell.
        return Request("GET", f"{self._site}/status.json", texts_in)

    def _all(self, path: str, model: type[M]) -> Exchange[list[M]]:
        """Read a list to its end: newer ones name the next page, older ones say how many there are (third parties)."""
        return ask_pages(Request("GET", path, reading_list(model)), _PAGES, self.config.base_url)


def _pos_order(seen: wire.Order, *notices: str) -> PosOrder:
    status, reference = "DELETED" if seen.deleted else seen.status, seen.sale_number
    state, progress = _DECIDED.get(status, (PosState.RECEIVED, Progress.NEW))
    return PosOrder(
        id=seen.id,
        reference=reference,
        state=state,
        progress=progress,
        status=status,
        notices=notices,
    )
