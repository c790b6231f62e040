"""Operations on the company, its sites and registers (vendor's pages).

Their online status is here too.

unconfirmed: that a site's tables can be requested. An integrator's page lists tables of this
platform's sites, but no vendor's page with their address is known; such a page would show it.
"""

from __future__ import annotations

from tillpost.simulator import Answer, Call
from tillpost_simulators.kounta.order_json import IMAGE
from tillpost_simulators.kounta.resources import find_in_path, paged
from tillpost_simulators.kounta.wire import Json, json_answer
from tillpost_simulators.kounta.world import Register, Site, World

_SINCE = "2013-05-08T13:56:02+10:00"


def get_company(world: World, _: Call) -> Answer:
    """Return the company."""
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
    """List the company's sites."""
    sites = list(world.sites.values())
    return paged(
        world,
        call,
        sites,
        key=lambda site: site.id,
        write=lambda site: site_json(world, site),
    )


def get_site(world: World, call: Call) -> Answer:
    """Return one site, with its price list (third-party code)."""
    site = find_in_path(call, "site", world.sites)
    body = site_json(world, site)
    prices = world.price_lists.get(site.price_list_id or 0)
    body["price_list"] = {"id": prices.id, "name": prices.name} if prices else None
    return json_answer(body)


def list_registers(world: World, call: Call) -> Answer:
    """List the registers of the company or of a site."""
    registers = list(world.registers.values())
    if "site" in call.path_values:
        site = find_in_path(call, "site", world.sites)
        registers = world.registers_of(site.id)
    return paged(world, call, registers, key=lambda register: register.id, write=_register)


def site_status(world: World, call: Call) -> Answer:
    """Return a site's status.

    It is "the very first thing to check" before an order (vendor's guide).
    """
    site = find_in_path(call, "site", world.sites)
    return json_answer(status_of(world, site))


def company_status(world: World, _: Call) -> Answer:
    """Return the status of all the company's sites.

    unconfirmed: that it is a list, with `site_id` beside the site's own status; a real answer would
    show it.
    """
    statuses = [{"site_id": site.id} | status_of(world, site) for site in world.sites.values()]
    return json_answer(statuses)


def sites_status(world: World, call: Call) -> Answer:
    """Return the status of every site that the client can access.

    unconfirmed: the shape. "A site ID will be shown as online" (vendor's page) may mean an object
    from id to status; this is the company's answer once more. A real answer would show it.
    """
    return company_status(world, call)


def status_of(world: World, site: Site) -> Json:
    """Return a site's status (vendor's page).

    `status` is online when a device is, `online_ordering` unless it was switched off. The status of
    the pass-through register is there where such printing is enabled.

    unconfirmed: that the last is the word `online` or `offline`, as the others are; a real answer
    would show it.
    """
    body: Json = {
        "status": _online(world.has_device_online(site.id)),
        "online_ordering": _online(site.ordering),
    }
    register = world.registers.get(site.pass_thru_register_id or 0)
    if register:
        body["pass_thru_printing_register"] = _online(register.online)
    return body


def site_json(world: World, site: Site) -> Json:
    """Return a site as in lists and webhooks."""
    return {
        "company_id": world.settings.company_id,
        "id": site.id,
        "name": site.name,
        "code": site.code,
    }


def _online(is_online: bool) -> str:
    return "online" if is_online else "offline"


def _register(register: Register) -> Json:
    return {
        "id": register.id,
        "code": register.code,
        "name": register.name,
        "site_id": register.site_id,
    }
