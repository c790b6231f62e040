"""The company, its sites and registers, and whether they are online (vendor's pages: Companies, Sites).

unconfirmed: that a site's tables can be asked for. An integrator's page lists tables of this
platform's sites, but no vendor's page with their address is known; such a page would tell.
"""

from __future__ import annotations

from tillpost.simulator import Answer, Call
from tillpost_simulators.kounta.errors import not_found
from tillpost_simulators.kounta.order_json import IMAGE
from tillpost_simulators.kounta.responses import paged
from tillpost_simulators.kounta.wire import Json, json_answer
from tillpost_simulators.kounta.world import Register, Site, World

_SINCE = "2013-05-08T13:56:02+10:00"


def get_company(world: World, _: Call) -> Answer:
    """The company; `me` is one's own."""
    offset = world.clock.now().strftime("%z")
    body = {
        "id": world.settings.company_id,
        "name": "Simulated Cafe Pty Ltd",
        "shipping_address": None,
        "postal_address": {
            "id": 198109,
            "lines": ["1 Harbour Street"],
            "city": "Sydney",
            "zone": "NSW",
            "postal_code": "2000",
            "country": "AU",
        },
        "addresses": {"count": 1, "updated_at": _SINCE},
        "business_number": "00 000 000 000",
        "contact_staff_member": {
            "id": 92402,
            "first_name": "Ari",
            "last_name": "Owner",
            "email": "ari@example.com",
        },
        "image": IMAGE,
        "website": "http://127.0.0.1/cafe",
        "currency": world.settings.currency,
        "timezone": {"offset": f"{offset[:3]}:{offset[3:]}", "name": "Australia/Sydney"},
        "sites": {"count": len(world.sites), "updated_at": _SINCE},
        "registers": {"count": len(world.registers), "limit": 15, "updated_at": _SINCE},
        "created_at": _SINCE,
        "updated_at": _SINCE,
    }
    return json_answer(body)


def list_sites(world: World, call: Call) -> Answer:
    """The company's sites."""
    return paged(
        world,
        call,
        list(world.sites.values()),
        lambda site: site.id,
        lambda site: site_json(world, site),
    )


def get_site(world: World, call: Call) -> Answer:
    """One site, with its price list (third-party code)."""
    site = find_site(world, call)
    prices = world.price_lists.get(site.price_list_id or 0)
    price_list = {"id": prices.id, "name": prices.name} if prices else None
    return json_answer(site_json(world, site) | {"price_list": price_list})


def list_registers(world: World, call: Call) -> Answer:
    """The registers, of the company or of a site."""
    wanted = find_site(world, call).id if "site" in call.path_values else None
    found = [
        register for register in world.registers.values() if wanted in (None, register.site_id)
    ]
    return paged(world, call, found, lambda register: register.id, _register)


def site_status(world: World, call: Call) -> Answer:
    """Whether a site is online: "the very first thing to check" before an order is sent (vendor's guide)."""
    return json_answer(status_of(world, find_site(world, call)))


def company_status(world: World, call: Call) -> Answer:
    """The status of all the company's sites.

    unconfirmed: that it is a list, with `site_id` beside the site's own status; a real answer would
    tell.
    """
    return json_answer(
        [{"site_id": site.id} | status_of(world, site) for site in world.sites.values()]
    )


def sites_status(world: World, call: Call) -> Answer:
    """The status of every site that the client can reach.

    unconfirmed: the shape. "A site ID will be shown as online" (vendor's page) may mean an object
    from id to status; this is the company's answer once more. A real answer would tell.
    """
    return company_status(world, call)


def status_of(world: World, site: Site) -> Json:
    """A site's status: `online` when a device is in use, `online_ordering` unless it was switched off, and the
    pass-through register's where such printing is enabled (vendor's page).

    unconfirmed: that the last is the word `online` or `offline`, as the others are; a real answer
    would tell.
    """
    body: Json = {"status": _word(world.in_use(site.id)), "online_ordering": _word(site.ordering)}
    register = world.registers.get(site.pass_thru_register_id or 0)
    return body | ({"pass_thru_printing_register": _word(register.online)} if register else {})


def find_site(world: World, call: Call) -> Site:
    """The site in the path, or a 404."""
    asked = call.path_values["site"]
    site = world.sites.get(int(asked)) if asked.isdecimal() else None
    if site is None:
        raise not_found()
    return site


def _word(online: bool) -> str:
    return "online" if online else "offline"


def site_json(world: World, site: Site) -> Json:
    """A site as lists and webhooks have it."""
    return {
        "company_id": world.settings.company_id,
        "id": site.id,
        "name": site.name,
        "code": site.code,
    }


def _register(register: Register) -> Json:
    return {
        "id": register.id,
        "code": register.code,
        "name": register.name,
        "site_id": register.site_id,
    }
