"""The menu: products, what goes with them, categories, taxes, price lists and payment methods (vendor's pages).

Lists are abridged: a product's code and taxes are surely in the single product only. With a site in
the path the answer is that site's (vendor's page); without one it is the company's.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from tillpost.simulator import Answer, Call
from tillpost_simulators.kounta.errors import not_found
from tillpost_simulators.kounta.order_json import IMAGE
from tillpost_simulators.kounta.responses import paged
from tillpost_simulators.kounta.order_pricing import cents
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


def list_products(world: World, call: Call) -> Answer:
    """Products of the company, a site or a category, filtered by the query."""
    site = _site(world, call)
    fields = set(call.query.get("fields", "").split(","))
    category = call.path_values.get("category")
    found = [
        product
        for product in world.products.values()
        if not product.deleted
        and (site is None or site.id in product.sites)
        and (category is None or category in map(str, product.category_ids))
        and _asked_for(product, site, call)
    ]
    newer = site is not None
    return paged(
        world,
        call,
        found,
        lambda item: item.id,
        lambda item: listed(world, item, site, fields),
        newer=newer,
    )


def get_product(world: World, call: Call) -> Answer:
    """One product. At a site it is flat; without one it tells its sites (vendor's page)."""
    site, product = _site(world, call), _product(world, call)
    if site is not None and site.id not in product.sites:
        raise not_found()
    return json_answer(single(world, product, site))


def list_modifiers(world: World, call: Call) -> Answer:
    """The products that can modify another.

    unconfirmed: which fields a modifier has there; the vendor's page only says that the prices are
    those of pop-up modifiers. A real answer would tell.
    """
    product, site = _product(world, call), next(iter(world.sites.values()))
    found = [choice for choice in product.modifiers if world.find(choice.product_id)]

    def write(choice: Choice) -> Json:
        modifier = world.products[choice.product_id]
        price = world.choice_price(product, modifier, site)
        return {
            "id": modifier.id,
            "name": modifier.name,
            "code": modifier.code,
            "unit_price": price,
        }

    return paged(world, call, found, lambda choice: choice.product_id, write)


def list_product_categories(world: World, call: Call) -> Answer:
    """The categories that a product is in."""
    ids = _product(world, call).category_ids
    return paged(world, call, ids, int, lambda category_id: _category(world, category_id))


def list_categories(world: World, call: Call) -> Answer:
    """The categories, of the company or with products at a site."""
    site = _site(world, call)
    used = {
        category_id
        for product in world.products.values()
        if not product.deleted and (site is None or site.id in product.sites)
        for category_id in product.category_ids
    }
    found = [category_id for category_id in world.categories if site is None or category_id in used]
    return paged(world, call, found, int, lambda category_id: _category(world, category_id))


def list_taxes(world: World, call: Call) -> Answer:
    """The company's taxes."""

    def write(tax: Tax) -> Json:
        return {"company_id": world.settings.company_id, "id": tax.id, "code": tax.code} | _tax(tax)

    return paged(world, call, list(world.taxes.values()), lambda tax: tax.id, write)


def list_price_lists(world: World, call: Call) -> Answer:
    """The price lists, without their prices."""
    return paged(
        world, call, list(world.price_lists.values()), lambda prices: prices.id, _price_list
    )


def get_price_list(world: World, call: Call) -> Answer:
    """One price list with the prices that it sets itself; `base` is the first (third-party code)."""
    asked = call.path_values["price_list"]
    lists = world.price_lists
    prices = next(iter(lists.values()), None) if asked == "base" else lists.get(_number(asked))
    if prices is None:
        raise not_found()
    products = [
        {"id": product_id, "name": world.products[product_id].name, "unit_price": price}
        for product_id, price in prices.prices.items()
        if world.find(product_id)
    ]
    return json_answer(_price_list(prices) | {"products": products})


def list_payment_methods(world: World, call: Call) -> Answer:
    """The ways to pay. Fields as in a payment's `method` (vendor's sample).

    unconfirmed: whether there are more; a real answer would tell.
    """
    found = list(world.payment_methods.items())
    return paged(
        world,
        call,
        found,
        lambda method: method[0],
        lambda method: {"id": method[0], "name": method[1]},
    )


def list_inventory(world: World, call: Call) -> Answer:
    """What a site has of each product that it counts."""
    site = _site(world, call)
    assert site is not None
    found = [
        (product.id, stock)
        for product in world.products.values()
        if not product.deleted
        and site.id in product.sites
        and (stock := product.sites[site.id].stock) is not None
    ]
    return paged(
        world, call, found, lambda item: item[0], lambda item: {"id": item[0], "stock": item[1]}
    )


def listed(world: World, product: Product, site: Site | None, fields: set[str]) -> Json:
    """A product in a list: the vendor's sample, `code` (third-party code), and the fields that were asked for."""
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
    return body | _fields(world, product, site, fields)


def single(world: World, product: Product, site: Site | None) -> Json:
    """A product, whole."""
    body = listed(world, product, site, {"categories", "option_sets"})
    body |= {"barcode": product.barcode, "taxes": _taxes(world, product)}
    if site is None:
        # unconfirmed: what `sites` holds; third-party code reads `id` and `stock` of each, a real
        # product would tell.
        body["sites"] = [
            {"id": site_id, "stock": at.stock or 0} for site_id, at in product.sites.items()
        ]
    return body


def _fields(world: World, product: Product, site: Site | None, fields: set[str]) -> Json:
    """The fields that the vendor's page lists for `fields`, and that a product here has.

    unconfirmed: what is inside each but for `unit_price_ex_tax` and `unit_tax`, whose names tell;
    one answer with all of them would tell.
    """
    price = _price(world, product, site)
    rate = sum((tax.rate for tax in world.taxes_of(product)), ZERO)
    made: Json = {}
    if "categories" in fields:
        made["categories"] = [
            {"id": category_id, "name": world.categories[category_id]}
            for category_id in product.category_ids
        ]
    if "option_sets" in fields:
        made["option_sets"] = [
            _option_set(world, product, each, site) for each in world.sets_of(product)
        ]
    if "availability" in fields and site is not None:
        made["availability"] = {"is_available": product.sites[site.id].is_available}
    if "unit_price_ex_tax" in fields:
        made["unit_price_ex_tax"] = price
    if "unit_tax" in fields:
        made["unit_tax"] = cents(price * rate)
    if "variants" in fields:
        made["variants"] = []
    if "docket_name" in fields:
        made["docket_name"] = product.name
    return made


def _option_set(world: World, product: Product, each: OptionSet, site: Site | None) -> Json:
    """An option set as a product shows it. `options` has the fields of an order's (third-party code), the rest is ours.

    unconfirmed: every other field; a product with an option set, read from a real site, would tell.
    """
    at = site or next(iter(world.sites.values()))
    options = [
        world.products[option.product_id]
        for option in each.options
        if world.find(option.product_id)
    ]
    return {
        "id": each.id,
        "name": each.name,
        "min": each.minimum,
        "max": each.maximum,
        "options": [
            {
                "product_id": option.id,
                "name": option.name,
                "unit_price": world.choice_price(product, option, at),
                "taxes": _taxes(world, option),
            }
            for option in options
        ],
    }


def _asked_for(product: Product, site: Site | None, call: Call) -> bool:
    """Whether the query's filters let a product through (vendor's page: Products)."""
    query = call.query
    at = product.sites.get(site.id) if site else None
    ids = query.get("ids", "")
    return (
        query.get("name", "").lower() in product.name.lower()
        and query.get("exactname", product.name) == product.name
        and query.get("sku", product.code) == product.code
        and ("tag" not in query or query["tag"] in product.tags)
        and (not ids or str(product.id) in ids.split(","))
        and (
            "is_available" not in query
            or at is None
            or at.is_available == (query["is_available"] == "true")
        )
    )


def _price(world: World, product: Product, site: Site | None) -> Decimal:
    return world.price_of(product, site) if site else product.unit_price


def _stock(product: Product, site: Site | None) -> Decimal:
    # unconfirmed: what the company's own answer says of stock; we add the sites up, a company with
    # two would tell.
    sites: Iterable[Decimal | None] = (
        at.stock for key, at in product.sites.items() if site is None or key == site.id
    )
    return sum((stock for stock in sites if stock is not None), ZERO)


def _taxes(world: World, product: Product) -> list[Json]:
    return [{"id": tax.id, "code": tax.code} | _tax(tax) for tax in world.taxes_of(product)]


def _tax(tax: Tax) -> Json:
    return {"name": tax.name, "rate": tax.rate}


def _category(world: World, category_id: int) -> Json:
    return {
        "id": category_id,
        "company_id": world.settings.company_id,
        "name": world.categories[category_id],
    }


def _price_list(prices: PriceList) -> Json:
    return {"id": prices.id, "name": prices.name, "parent_id": prices.parent_id}


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _site(world: World, call: Call) -> Site | None:
    if "site" not in call.path_values:
        return None
    site = world.sites.get(_number(call.path_values["site"]))
    if site is None:
        raise not_found()
    return site


def _product(world: World, call: Call) -> Product:
    product = world.find(_number(call.path_values["product"]))
    if product is None:
        raise not_found()
    return product
