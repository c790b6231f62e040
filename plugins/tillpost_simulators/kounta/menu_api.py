"""Operations on the menu (vendor's pages).

Products, what goes with them, categories, taxes, price lists, payment methods and stock. Lists are
abridged: a product's code and taxes are certain only in the single product. With a site in the path
the answer is that site's (vendor's page); without one it is the company's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

from tillpost.simulator import Answer, Call
from tillpost_simulators.kounta.errors import not_found
from tillpost_simulators.kounta.order_json import IMAGE
from tillpost_simulators.kounta.order_pricing import rounded
from tillpost_simulators.kounta.resources import find_in_path, id_from, paged
from tillpost_simulators.kounta.wire import Json, json_answer
from tillpost_simulators.kounta.world import (
    ZERO,
    Choice,
    OptionSet,
    PriceList,
    Product,
    Site,
    Tax,
    World,
)

_ALWAYS_IN_SINGLE = frozenset({"categories", "option_sets"})


# --- products ---


def list_products(world: World, call: Call) -> Answer:
    """List the products of the company, a site or a category, filtered by the query."""
    site = _site_in_path(world, call)
    fields = frozenset(call.query.get("fields", "").split(","))
    filters = _filters(call, site)
    found = [
        product
        for product in _products_at(world, site)
        if all(passes(product) for passes in filters)
    ]
    return paged(
        world,
        call,
        found,
        key=lambda product: product.id,
        write=lambda product: _listed(world, product, site, fields),
        newer=site is not None,
    )


def get_product(world: World, call: Call) -> Answer:
    """Return one product.

    At a site it is flat; without one it has its sites (vendor's page).
    """
    site = _site_in_path(world, call)
    product = _product_in_path(world, call)
    if site is not None and site.id not in product.sites:
        raise not_found()
    return json_answer(_single(world, product, site))


def list_modifiers(world: World, call: Call) -> Answer:
    """List the products that can modify another.

    unconfirmed: which fields a modifier has there; the vendor's page only says that the prices are
    those of pop-up modifiers. A real answer would show it.
    """
    product = _product_in_path(world, call)
    site = _first_site(world)
    found = [choice for choice in product.modifiers if world.find_product(choice.product_id)]

    def write(choice: Choice) -> Json:
        modifier = world.products[choice.product_id]
        return {
            "id": modifier.id,
            "name": modifier.name,
            "code": modifier.code,
            "unit_price": world.choice_price(product, modifier, site),
        }

    return paged(world, call, found, key=lambda choice: choice.product_id, write=write)


def list_product_categories(world: World, call: Call) -> Answer:
    """List the categories of a product."""
    product = _product_in_path(world, call)
    return _category_page(world, call, product.category_ids)


def _product_in_path(world: World, call: Call) -> Product:
    product = find_in_path(call, "product", world.products)
    if product.deleted:
        raise not_found()
    return product


def _site_in_path(world: World, call: Call) -> Site | None:
    if "site" not in call.path_values:
        return None
    return find_in_path(call, "site", world.sites)


def _first_site(world: World) -> Site:
    return next(iter(world.sites.values()))


def _products_at(world: World, site: Site | None) -> Iterator[Product]:
    """Yield the products of a site, or of the company."""
    for product in world.products.values():
        if product.deleted:
            continue
        if site is None or site.id in product.sites:
            yield product


def _filters(call: Call, site: Site | None) -> list[Callable[[Product], bool]]:
    """Return the filters of a list of products: its category, and those of the query.

    They are the vendor's (page: Products). Only those that the call names are there, since a large
    menu has many pages.
    """
    query = call.query
    filters: list[Callable[[Product], bool]] = []
    if "category" in call.path_values:
        category = id_from(call.path_values["category"])
        filters.append(lambda product: category in product.category_ids)
    if name := query.get("name", "").lower():
        filters.append(lambda product: name in product.name.lower())
    if "exactname" in query:
        filters.append(lambda product: product.name == query["exactname"])
    if "sku" in query:
        filters.append(lambda product: product.code == query["sku"])
    if "tag" in query:
        filters.append(lambda product: query["tag"] in product.tags)
    if ids := query.get("ids", ""):
        wanted = frozenset(ids.split(","))
        filters.append(lambda product: str(product.id) in wanted)
    if site is not None and "is_available" in query:
        available = query["is_available"] == "true"
        filters.append(lambda product: product.sites[site.id].is_available == available)
    return filters


# --- the rest of the menu ---


def list_categories(world: World, call: Call) -> Answer:
    """List the categories of the company, or those with products at a site."""
    site = _site_in_path(world, call)
    if site is None:
        return _category_page(world, call, list(world.categories))
    used: set[int] = set()
    for product in _products_at(world, site):
        used.update(product.category_ids)
    found = [category_id for category_id in world.categories if category_id in used]
    return _category_page(world, call, found)


def list_taxes(world: World, call: Call) -> Answer:
    """List the company's taxes."""

    def write(tax: Tax) -> Json:
        return {"company_id": world.settings.company_id, **_tax(tax)}

    taxes = list(world.taxes.values())
    return paged(world, call, taxes, key=lambda tax: tax.id, write=write)


def list_price_lists(world: World, call: Call) -> Answer:
    """List the price lists, without their prices."""
    price_lists = list(world.price_lists.values())
    return paged(world, call, price_lists, key=lambda prices: prices.id, write=_price_list)


def get_price_list(world: World, call: Call) -> Answer:
    """Return one price list with its own prices.

    `base` is the first one (third-party code).
    """
    wanted = call.path_values["price_list"]
    lists = world.price_lists
    base = next(iter(lists.values()), None)
    prices = base if wanted == "base" else lists.get(id_from(wanted))
    if prices is None:
        raise not_found()
    products: list[Json] = []
    for product_id, price in prices.prices.items():
        product = world.find_product(product_id)
        if product:
            products.append({"id": product_id, "name": product.name, "unit_price": price})
    return json_answer({**_price_list(prices), "products": products})


def list_payment_methods(world: World, call: Call) -> Answer:
    """List the payment methods. Fields as in a payment's `method` (vendor's sample).

    unconfirmed: whether there are more; a real answer would show it.
    """
    names = world.payment_methods
    return paged(
        world,
        call,
        list(names),
        key=int,
        write=lambda method_id: {"id": method_id, "name": names[method_id]},
    )


def list_inventory(world: World, call: Call) -> Answer:
    """List a site's stock of each product that it counts."""
    site = find_in_path(call, "site", world.sites)
    stock_by_id: dict[int, Decimal] = {}
    for product in _products_at(world, site):
        stock = product.sites[site.id].stock
        if stock is not None:
            stock_by_id[product.id] = stock
    return paged(
        world,
        call,
        list(stock_by_id),
        key=int,
        write=lambda product_id: {"id": product_id, "stock": stock_by_id[product_id]},
    )


# --- JSON ---


def _listed(
    world: World,
    product: Product,
    site: Site | None,
    fields: frozenset[str],
) -> Json:
    """Return a product as in lists, with the requested optional fields.

    Its fields are those of the vendor's sample, and `code` (third-party code).
    """
    body: Json = {
        "company_id": world.settings.company_id,
        "id": product.id,
        "name": product.name,
        "code": product.code,
        "description": product.description,
        "tags": product.tags,
        "image": IMAGE,
        "cost_price": product.cost_price,
        "unit_price": _price(world, product, site),
        "stock": _stock(product, site),
    }
    if site is not None:
        body["show_online"] = product.sites[site.id].show_online
    if world.settings.taxes_in_lists:
        body["taxes"] = _taxes(world, product)
    body |= _optional_fields(world, product, site, fields)
    return body | world.oddities.get(product.id, {})


def _single(world: World, product: Product, site: Site | None) -> Json:
    """Return a product with all its fields."""
    body = _listed(world, product, site, _ALWAYS_IN_SINGLE)
    body["barcode"] = product.barcode
    body["taxes"] = _taxes(world, product)
    if site is None:
        # unconfirmed: what `sites` holds; third-party code reads `id` and `stock` of each, a real
        # product would show it.
        body["sites"] = [
            {"id": site_id, "stock": at_site.stock or 0}
            for site_id, at_site in product.sites.items()
        ]
    return body


def _optional_fields(
    world: World,
    product: Product,
    site: Site | None,
    fields: frozenset[str],
) -> Json:
    """Return those of the vendor's `fields` that were requested.

    Only those that a product here has are returned.

    unconfirmed: what is inside each but for `unit_price_ex_tax` and `unit_tax`, whose names say it;
    one answer with all of them would show it.
    """
    price = _price(world, product, site)
    body: Json = {}
    if "categories" in fields:
        body["categories"] = [
            {"id": category_id, "name": world.categories[category_id]}
            for category_id in product.category_ids
        ]
    if "option_sets" in fields:
        body["option_sets"] = [
            _option_set(world, product, option_set, site)
            for option_set in world.option_sets_of(product)
        ]
    if "availability" in fields and site is not None:
        body["availability"] = {"is_available": product.sites[site.id].is_available}
    if "unit_price_ex_tax" in fields:
        body["unit_price_ex_tax"] = price
    if "unit_tax" in fields:
        body["unit_tax"] = rounded(world, price * world.tax_rate_of(product))
    if "variants" in fields:
        body["variants"] = []
    if "docket_name" in fields:
        body["docket_name"] = product.name
    return body


def _option_set(
    world: World,
    product: Product,
    option_set: OptionSet,
    site: Site | None,
) -> Json:
    """Return an option set of a product.

    `options` has the fields of an order's (third-party code), the rest is ours.

    unconfirmed: every other field; a product with an option set, read from a real site, would show.
    """
    priced_at = site or _first_site(world)
    options: list[Json] = []
    for choice in option_set.options:
        option = world.find_product(choice.product_id)
        if option is None:
            continue
        options.append(
            {
                "product_id": option.id,
                "name": option.name,
                "unit_price": world.choice_price(product, option, priced_at),
                "taxes": _taxes(world, option),
            }
        )
    return {
        "id": option_set.id,
        "name": option_set.name,
        "min": option_set.minimum,
        "max": option_set.maximum,
        "options": options,
    }


def _price(world: World, product: Product, site: Site | None) -> Decimal:
    if site:
        return world.price_of(product, site)
    return product.unit_price


def _stock(product: Product, site: Site | None) -> Decimal:
    """Return a site's stock of a product, or that of all sites.

    unconfirmed: what the company's own answer says of stock; we add the sites up, a company with
    two would show it.
    """
    total = ZERO
    for site_id, at_site in product.sites.items():
        if site is not None and site_id != site.id:
            continue
        if at_site.stock is not None:
            total += at_site.stock
    return total


def _taxes(world: World, product: Product) -> list[Json]:
    return [_tax(tax) for tax in world.taxes_of(product)]


def _tax(tax: Tax) -> Json:
    return {"id": tax.id, "code": tax.code, "name": tax.name, "rate": tax.rate}


def _category_page(world: World, call: Call, category_ids: list[int]) -> Answer:
    def write(category_id: int) -> Json:
        return {
            "id": category_id,
            "company_id": world.settings.company_id,
            "name": world.categories[category_id],
        }

    return paged(world, call, category_ids, key=int, write=write)


def _price_list(prices: PriceList) -> Json:
    return {"id": prices.id, "name": prices.name, "parent_id": prices.parent_id}
