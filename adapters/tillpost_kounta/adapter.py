"""The Kounta adapter: every operation reads top to bottom, and none does any I/O.

Kounta honours no idempotency keys. So core keeps the promise "never twice": it looks an order up
with `find`, at the pauses of `look_after`, before it repeats a create that may have had an effect.
Kounta checks little, so each new order is read back, and a total other than what was paid is
reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlencode

from tillpost.adapter import (
    EVERY_FEATURE,
    Account,
    Adapter,
    Applied,
    Attempt,
    AuthorisationRequest,
    AvailabilityChanged,
    BilledLine,
    Choice,
    Credentials,
    DoubtError,
    Effect,
    Exchange,
    Finding,
    Found,
    Menu,
    OddObjects,
    Order,
    OrderChanged,
    PageHeaders,
    PosError,
    PosOrder,
    Problem,
    Product,
    Readiness,
    RegisterOfflineError,
    Request,
    Response,
    SetupError,
    SetupFault,
    Signed,
    StoreClosedError,
    Webhook,
    WebhookEvent,
    ask,
    ask_pages,
    ask_when_there,
    ask_with_answer,
    currency_findings,
    find_or_make,
    id_in_location,
    menu_of_products,
    missing_products,
    mixed_option_faults,
    nearest_minor,
    nothing,
    oauth,
    other_names,
    passing_over_odd_rows,
    path_segment,
    reading,
    reading_about,
    reading_list,
    searched_from,
    texts_in,
    ticket_reference,
    to_exact_body,
    verify_hmac,
    verify_total,
    with_options,
)
from tillpost_kounta import wire
from tillpost_kounta.error_table import TABLE, speaks_of_oauth
from tillpost_kounta.identity import Match, match, mentions, own_reference
from tillpost_kounta.settings import REGISTER_STEPS, KountaSettings
from tillpost_kounta.status import PRINTING_REGISTER, REJECTED, pos_order, site_findings
from tillpost_kounta.translation import for_customer, products_of, ticket_body, translate

__all__ = ["Kounta"]

M = TypeVar("M", bound=wire.NamedThing)

_PRODUCT_FIELDS = (
    "categories,option_sets,availability,unit_price,unit_price_ex_tax,unit_tax,variants"
)
_PAGES = PageHeaders(onward="x-next-page", count="x-pages", number="x-page")
_READ_BACK = (0.5, 1.0, 2.0)
"""Pauses in seconds while a new order may still be a 404."""

_NO_ACCESS = (401, 403, 407)
"""Statuses with which a proxy refuses access as well as Kounta."""

_MOST_RESTARTS = 2
"""How often a menu import starts again when a product disappears under it."""


class Kounta(oauth.Tokens, Adapter[KountaSettings]):
    """Lightspeed Restaurant O-Series, formerly Kounta: REST API v1."""

    platform = "kounta"
    title = "Kounta"
    settings = KountaSettings
    errors = TABLE
    needs_menu = True
    # An order that isn't paid in full stays open at the register.
    carries = EVERY_FEATURE
    webhooks_proved = False
    token_path = "/v1/token"  # noqa: S105  an address; its tokens last an hour (third-party code)
    public_fields = frozenset("sale_number order_type placed_at fulfil_at id_str rate code".split())
    register_steps = REGISTER_STEPS

    def __init__(self, settings: KountaSettings) -> None:
        super().__init__(settings)
        self.look_after = settings.look_after
        self.import_pace = settings.import_pace
        self._company = f"/v1/companies/{settings.company_id}"
        self._site = f"{self._company}/sites/{settings.site_id}"

    def sign(self, request: Request[Any], credentials: Credentials) -> Signed:
        """Add the access token, or the client's secrets to a request for a token."""
        if request.path == self.token_path:
            return oauth.signed_form(request, credentials)
        return super().sign(request, credentials)

    def problems(self, response: Response) -> Sequence[Problem]:
        """Return the error text of an answer, from the first field that has one.

        A success may contain an error as well, though not in `message`. A 201 that names a new
        order has created it, whatever its body says.

        Proxies, too, refuse access with a `message` or an `error`, such as "Forbidden". So such a
        text counts as Kounta's only if it is in the fields of OAuth or speaks of OAuth.

        unconfirmed: that Kounta's own refusals of access have that form; a recorded 401 and a
        recorded 403 would show it.
        """
        if response.status == 201 and id_in_location(response, "orders"):
            return ()
        succeeded = response.status < 300
        if succeeded and b'"error' not in response.body:
            return ()
        texts = texts_in(response.body)
        fields = ["error_description", "error_message", "error"]
        if not succeeded:
            fields.insert(2, "message")
        field = next((field for field in fields if field in texts), None)
        if field is None:
            return ()
        may_be_a_proxys = response.status in _NO_ACCESS and field in ("message", "error")
        if may_be_a_proxys and not speaks_of_oauth(texts[field]):
            return ()
        return [Problem(code=texts.get("error", ""), text=texts[field])]

    def missing_setting(self, order: Order) -> SetupError | None:
        """Return the error of an order with a part that no product is named for."""
        return missing_products(order, self.config)

    # Submitting
    # ---------------------------------------------------------------------------------------------

    def submit(self, order: Order, attempt: Attempt) -> Exchange[PosOrder]:
        """Create the order and read it back.

        A success that names no order leaves core in doubt.
        """
        assert attempt.menu is not None  # see needs_menu
        translated = translate(order, attempt.menu, attempt.remarks, self.config)
        if not attempt.is_forecast:
            if self.config.check_first:
                yield from self._check_site()
            customer_id = yield from self._customer(order)
            translated = for_customer(translated, order, customer_id)
        content, notices = translated
        created = yield from self._create(order.id, notices, **content)
        return (yield from self._read_back(order, created, attempt.menu, notices))

    def _check_site(self) -> Exchange[None]:
        """Raise what keeps the site from taking orders now."""
        status = yield from ask(self._status())
        if status.get("online_ordering") == "offline":
            raise StoreClosedError(
                "online ordering is switched off at the site, or for this connection"
            )
        printing_is_offline = status.get(PRINTING_REGISTER) == "offline"
        if self.config.pass_thru_printing and printing_is_offline:
            raise RegisterOfflineError("the site's register for pass-through printing is offline")

    def _customer(self, order: Order) -> Exchange[int | None]:
        """Return the id of the customer's record. No order fails because of its customer.

        A search for a customer redirects to the record (vendor's page).
        """
        customer = order.customer
        if customer is None or not (customer.email or customer.phone):
            return None
        path = f"{self._company}/customers.json"
        first, _, last = customer.name.partition(" ")
        person = {"first_name": first, "last_name": last or "-", "phone": customer.phone}
        query = urlencode({"email": customer.email} if customer.email else person)
        find = Request("GET", f"{path}?{query}", nothing, answers=frozenset({302, 404}))
        body = to_exact_body(**person, email=customer.email)
        create = Request("POST", path, nothing, body, Effect.SIDE)
        customer_id = yield from find_or_make("customers", find, create)
        return int(customer_id) if customer_id.isdecimal() else None

    def _create(
        self, reference: str, notices: Sequence[str], /, **content: object
    ) -> Exchange[wire.Order]:
        body = to_exact_body(
            site_id=int(self.config.site_id),
            status=self.config.status,
            sale_number=reference,
            **content,
        )
        create = Request(
            "POST",
            f"{self._company}/orders.json",
            nothing,
            body,
            Effect.CREATE,
            notices=tuple(notices),
        )
        _, answer = yield from ask_with_answer(create)
        pos_id = id_in_location(answer, "orders")
        if not pos_id:
            raise DoubtError("Kounta's answer names no order", applied=Applied.MAYBE)
        return wire.Order(id=pos_id, sale_number=reference, status=self.config.status)

    def _read_back(
        self,
        order: Order,
        created: wire.Order,
        menu: Menu,
        notices: Sequence[str],
    ) -> Exchange[PosOrder]:
        """Read an order back that was just created, and raise what is wrong with it.

        An order that can't be read back exists all the same. If what is read is about another
        order, the result has no reference or no total, and core looks the order up again.
        """
        try:
            seen = yield from ask_when_there(self._order(created.id), _READ_BACK)
        except PosError as error:
            notice = f"Kounta's total couldn't be verified: {error.detail}"
            return pos_order(created, order.id, *notices, notice)
        whose = self._match(order, seen)
        if whose is Match.ANOTHER:
            notice = "Kounta named it as the new order, and it has another reference"
            return pos_order(created, "", *notices, notice)
        # One that has only our number is ours: Kounta itself has named it as the new order.
        reference = "" if whose is Match.UNNAMED else order.id
        return self._priced(order, seen, None, menu, pos_order(seen, reference, *notices))

    def _priced(
        self,
        order: Order,
        seen: wire.Order,
        listed_total: Decimal | None,
        menu: Menu | None,
        found: PosOrder,
    ) -> PosOrder:
        """Return an order with Kounta's total.

        Raises what is wrong with its lines or total.

        Args:
            order: The order.
            seen: The order as Kounta has it.
            listed_total: Its total in a list, where the order itself has none.
            menu: The menu, if it is known.
            found: The order to return.
        """
        notices = (*found.notices, *_name_notices(order, seen.lines or ()))
        found = found.model_copy(update={"notices": tuple(dict.fromkeys(notices))})
        priced = found
        if seen.lines is not None:
            billed = _billed(seen.lines)
            priced = verify_total(order, self.config, billed, menu, found, seen.total_tax)
        total = seen.total if listed_total is None else listed_total
        if priced.total is not None or total is None:
            return priced
        minor = nearest_minor(total, order.currency)
        return found.model_copy(update={"total": minor})

    def _match(self, order: Order, seen: wire.Order) -> Match:
        return match(order, seen, self.config.payment_method_id)

    def attention(self, order: Order, number: int) -> Exchange[PosOrder]:
        """Create an attention ticket, unless the register has it: Kounta has no keys.

        The ticket is an order of one product, which the setting `attention_product` names.

        unconfirmed: that an order of 0 needs no payment, how long its notes may be, and that they
        are printed. One such order would show it.
        """
        product_id = self.config.attention_product
        if not product_id:
            raise SetupError("the setting attention_product names no product for the ticket")
        reference = ticket_reference(order)
        # Not limited by value: staff may have put the order's items on the ticket.
        made = yield from self._created_since(
            searched_from(order, None), reference, lambda seen: seen.sale_number == reference
        )
        if made:
            return pos_order(made[0], reference)
        created = yield from self._create(reference, (), **ticket_body(order, product_id))
        return pos_order(created, reference)

    # Looking up
    # ---------------------------------------------------------------------------------------------

    def find(self, order: Order, since: float | None) -> Exchange[Found]:
        """Search the site's recent orders for one with the reference, and read it.

        The search isn't limited by value: a surcharge or a discount at the register changes the
        total, and an order that isn't found would be sent again. `identity` says which order is
        ours. One that staff rejected counts only if there is no other.

        unconfirmed: whether /orders/saleid, which isn't asked, knows our number. One order would
        show it.
        """
        start = searched_from(order, since)
        mentioned = yield from self._created_since(start, order.id, partial(mentions, order))
        mentioned.sort(key=lambda seen: seen.status == REJECTED)
        doubt: DoubtError | None = None
        for listed in mentioned:
            try:
                seen = yield from ask_when_there(self._order(listed.id), _READ_BACK)
            except PosError as error:
                if error.status_code != 404:
                    raise
                seen = listed  # a new order may be in the list before it can be read
            try:
                found = self._identified(order, seen, listed.total)
            except DoubtError as error:
                doubt = error  # the order itself may be further down the list
            else:
                if found:
                    return found
        if doubt:
            raise doubt
        return None

    def verify(self, order: Order, pos_id: str) -> Exchange[Found]:
        """Return the order with this id, if it is ours. Raises as `find` does."""
        seen = yield from ask(self._order(pos_id))
        return self._identified(order, seen, None)

    def _identified(
        self, order: Order, seen: wire.Order, listed_total: Decimal | None
    ) -> PosOrder | None:
        """Return an order at Kounta if it is ours, with its total; None if it is another.

        Raises:
            DoubtError: It has our reference, and nothing else shows whose it is. With a reference
                that may be the number of a sale at the counter, it has our total and lines, too.
            PosError: It is ours, and its total or its lines are wrong.
        """
        whose = self._match(order, seen)
        if whose is Match.OURS:
            return self._priced(order, seen, listed_total, None, pos_order(seen, order.id))
        if whose is Match.UNCLEAR:
            text = (
                f"Kounta's order {seen.id} has this reference, and nothing else shows whose it is"
            )
            raise DoubtError(text, applied=Applied.MAYBE)
        if whose is Match.NUMBERED and self._may_equal(order, seen, listed_total):
            text = f"Kounta's order {seen.id} has this number and total; it may be another sale"
            raise DoubtError(text, applied=Applied.MAYBE)
        return None

    def _may_equal(self, order: Order, seen: wire.Order, listed_total: Decimal | None) -> bool:
        """Return whether an order has our total and our number of lines.

        What the order lacks isn't compared.
        """
        try:
            priced = self._priced(order, seen, listed_total, None, pos_order(seen, order.id))
        except PosError:
            return False
        return priced.total in (None, order.total)

    def fetch(self, pos_id: str) -> Exchange[PosOrder]:
        """Return the order's current state.

        One deleted at the register is in another list.
        """
        try:
            order = yield from ask(self._order(pos_id))
            return pos_order(order, self._own_reference(order))
        except PosError as error:
            if error.status_code != 404:
                raise
            path = f"{self._site}/orders/deleted.json"
            found = yield from self._orders(path, pos_id, lambda seen: seen.id == pos_id)
            if not found:
                raise
            deleted_order = found[0].model_copy(update={"deleted": True})
            return pos_order(deleted_order, self._own_reference(deleted_order))

    def _own_reference(self, seen: wire.Order) -> str:
        return own_reference(seen, self.config.payment_method_id)

    # The menu and the site
    # ---------------------------------------------------------------------------------------------

    def import_menu(self) -> Exchange[Menu]:
        """Return the site's whole menu.

        What no list contains, taxes and modifiers, is asked for product by product. A product that
        disappears meanwhile may be back under another id, so then the import starts again.
        """
        restarts = 0
        while True:
            odd = OddObjects()
            currency = yield from ask(self._currency())
            taxes = yield from self._taxes(odd)
            path = f"{self._site}/products.json?fields={_PRODUCT_FIELDS}"
            read = odd.reading_list(wire.ListedProduct, wire.PARTS_OF_PRODUCT)
            listed = yield from self._pages(path, read)
            # A product that comes twice, because pages shifted, is one product.
            unique = {product.id: product for product in listed}
            try:
                unique_products = tuple(unique.values())
                products = yield from self._complete_products(unique_products, taxes, currency, odd)
            except PosError as error:
                disappeared = error.status_code == 404
                if not disappeared or restarts == _MOST_RESTARTS:
                    raise
                restarts += 1
            else:
                return self._menu(currency, products, odd.faults_of_whole_menu())

    def menu_for(self, order: Order) -> Exchange[Menu | None]:
        """Return a menu of the products that the order is sent as.

        They have their chosen options.

        unconfirmed: that a site's list of products can be limited to some `ids`, as the company's
        can (vendor's page). One answer would show it; without it the list is only longer.
        """
        odd = OddObjects()
        ordered = {line.item_id for line in order.lines}
        needed = products_of(order, self.config)
        query = urlencode({"fields": _PRODUCT_FIELDS, "ids": ",".join(sorted(needed))})
        read = odd.reading_list(wire.ListedProduct, wire.PARTS_OF_PRODUCT)
        listed = yield from self._pages(f"{self._site}/products.json?{query}", read)
        found = [product for product in listed if product.id in needed]
        if not found:
            return None
        currency = yield from ask(self._currency())
        taxes = yield from self._taxes(odd)
        products: list[Product] = []
        for product in found:
            if product.variants:
                continue
            # What is only chosen as an option isn't asked for options of its own.
            has_options = product.id in ordered
            complete = yield from self._complete(
                product, taxes, currency, odd, has_options=has_options
            )
            if complete is not None:
                products.append(complete)
        known = {product.id for product in products}
        chosen = [with_options(product, known) for product in products]
        return self._menu(currency, chosen, odd.faults)

    def _menu(
        self, currency: str, products: Sequence[Product], faults: Sequence[SetupFault]
    ) -> Menu:
        return menu_of_products(
            products,
            site=self.config.site_id,
            currency=currency,
            faults=[*faults, *mixed_option_faults(products)],
        )

    def _complete_products(
        self,
        listed: Sequence[wire.Product],
        taxes: Sequence[wire.NamedThing],
        currency: str,
        odd: OddObjects,
    ) -> Exchange[list[Product]]:
        products: list[Product] = []
        for product in listed:
            is_template = bool(product.variants)
            if is_template:  # it can't be ordered (vendor's page)
                continue
            complete = yield from self._complete(product, taxes, currency, odd)
            if complete is not None:
                products.append(complete)
        return products

    def _complete(
        self,
        product: wire.Product,
        taxes: Sequence[wire.NamedThing],
        currency: str,
        odd: OddObjects,
        *,
        has_options: bool = True,
    ) -> Exchange[Product | None]:
        """Return a product of the list with its taxes and modifiers.

        It is None if it can't be read.
        """
        product_taxes = wire.taxes_in_list(product, taxes, currency)
        if product_taxes is None:
            whole = yield from self._product(product.id, product.name, odd)
            if whole is None:
                return None
            product_taxes = whole.taxes or ()
        modifiers: Sequence[wire.Product] = ()
        if has_options:
            path = f"{self._company}/products/{path_segment(product.id)}/modifiers.json"
            modifiers = yield from self._pages(path, odd.reading_list(wire.ListedProduct))
        return wire.menu_product(
            product, product_taxes, modifiers, taxes_included=self.config.prices_include_tax
        )

    def _product(
        self, product_id: str, name: str, odd: OddObjects
    ) -> Exchange[wire.ListedProduct | None]:
        """Return a product with all its fields as the site has it.

        It is None if it can't be read.
        """
        path = f"{self._site}/products/{path_segment(product_id)}.json"
        read = odd.reading_one(wire.ListedProduct, product_id, name)
        return (yield from ask(Request("GET", path, read)))

    def check(self) -> Exchange[Readiness]:
        """Check the site: its devices, online ordering and the printing register."""
        try:
            status = yield from ask(self._status())
        except PosError as error:
            return Readiness(findings=(Finding.unseen("connection", error),))
        findings = list(site_findings(status, prints=self.config.pass_thru_printing))
        if self.config.currency:
            try:
                currency = yield from ask(self._currency())
                findings += currency_findings(currency, self.config.currency)
            except PosError as error:
                findings.append(Finding.unseen("currency setting", error))
        return Readiness(findings=tuple(findings))

    # Access and webhooks
    # ---------------------------------------------------------------------------------------------

    @classmethod
    def authorize_url(cls, base_url: str, request: AuthorisationRequest) -> str:
        """Return Kounta's page for admins. No PKCE is known of (vendor's page).

        It isn't on the API's host, except at a simulator.
        """
        page = f"{base_url.replace('://api.', '://my.', 1)}/authorize"
        return oauth.authorisation_page(page, request, response_type="code")

    def account(self) -> Exchange[Account]:
        """Return the company that granted access, its sites and its payment methods.

        unconfirmed: that companies/me is the company of the token; that all three take these paths.
        An answer of each would show it.
        """
        company = yield from ask(Request("GET", "/v1/companies/me.json", reading(wire.NamedThing)))
        path = f"/v1/companies/{path_segment(company.id)}"
        sites = yield from self._all(f"{path}/sites.json", wire.NamedThing)
        methods = yield from self._all(f"{path}/payment_methods.json", wire.NamedThing)
        choices = {
            "company_id": _choices([company]),
            "site_id": _choices(sites),
            "payment_method_id": _choices(methods),
        }
        return Account(name=company.name, choices=choices)

    def parse_webhook(self, webhook: Webhook, now: float) -> Sequence[WebhookEvent]:
        """Return the event of a webhook, or of an order's callback, at this site.

        Its body is an order or a site. A site's changes all look alike, so `check` must find out
        what has changed. No time is signed, so core looks orders up.

        unconfirmed: the key of the signature; that the body is the bare order or site, and names no
        topic; that no topic reports menu changes. One delivery of each topic would show it.
        """
        signature = webhook.headers.get("x-kounta-signature")
        verify_hmac(self.config.webhook_secret, signature, webhook.body, "hex")
        changed = wire.Order.model_validate_json(webhook.body)
        is_order = bool(changed.site_id)
        site_id = changed.site_id if is_order else changed.id
        if site_id != self.config.site_id:
            return ()
        if is_order:
            return (OrderChanged(event_id=webhook.digest, pos_id=changed.id),)
        return (AvailabilityChanged(),)

    # Requests
    # ---------------------------------------------------------------------------------------------

    def _created_since(
        self, start: datetime, reference: str, keep: Callable[[wire.Order], bool]
    ) -> Exchange[list[wire.Order]]:
        """Search the site's orders that were created since a time.

        Orders of all values and states are searched.
        """
        window = urlencode({"created_gte": _in_query(start)})
        return self._orders(f"{self._site}/orders.json?{window}", reference, keep)

    def _orders(
        self, path: str, reference: str, keep: Callable[[wire.Order], bool]
    ) -> Exchange[list[wire.Order]]:
        """Search a list of orders for the one with the reference.

        Args:
            path: The list's path.
            reference: A text that the order contains.
            keep: Whether an order may be the one.
        """
        read = passing_over_odd_rows(reading_list(wire.Order), wire.Order, reference)
        return ask_pages(Request("GET", path, read), _PAGES, self.config.base_url, keep)

    def _order(self, pos_id: str) -> Request[wire.Order]:
        path = f"{self._company}/orders/{path_segment(pos_id)}.json"
        return Request("GET", path, reading_about(wire.Order, pos_id))

    def _status(self) -> Request[dict[str, str]]:
        # unconfirmed: that the printing register's status is a plain word as the others are; an
        # answer would show it.
        return Request("GET", f"{self._site}/status.json", texts_in)

    def _currency(self) -> Request[str]:
        return Request("GET", f"{self._company}.json", wire.currency_of)

    def _taxes(self, odd: OddObjects) -> Exchange[list[wire.ListedTax]]:
        read = odd.reading_list(wire.ListedTax)
        return self._pages(f"{self._company}/taxes.json", read)

    def _all(self, path: str, model: type[M]) -> Exchange[list[M]]:
        """Read a list to its end."""
        return self._pages(path, reading_list(model))

    def _pages(self, path: str, read: Callable[[bytes], Sequence[M]]) -> Exchange[list[M]]:
        """Read a list to its end.

        Newer lists name their next page, older ones say how many there are (third parties).
        """
        return ask_pages(Request("GET", path, read), _PAGES, self.config.base_url)


def _name_notices(order: Order, lines: Sequence[wire.Line]) -> Iterator[str]:
    """Yield a notice for each line with a name that the register doesn't say all of.

    Where no note says it, the menu had another name, and the customer's is nowhere to be seen.
    """
    for index, (ordered, seen) in enumerate(zip(order.lines, lines, strict=False)):
        if not seen.name or seen.product != ordered.item_id:
            continue
        for name in other_names([(ordered.name, seen.name)]):
            yield name.notice(index, is_noted=name.is_in(seen.notes))


def _billed(lines: Sequence[wire.Line]) -> list[BilledLine]:
    return [
        BilledLine(
            product_id=line.product,
            net=line.line_total_ex_tax,
            tax=line.line_total_tax,
            taxes=[tax.name for tax in line.taxes],
        )
        for line in lines
    ]


def _in_query(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def _choices(things: Sequence[wire.NamedThing]) -> tuple[Choice, ...]:
    return tuple(Choice(value=thing.id, name=thing.name) for thing in things)
