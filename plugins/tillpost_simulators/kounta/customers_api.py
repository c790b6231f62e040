"""Customers (vendor's page: Customers): looked up by email, or by name and phone, and made when there is none."""

from __future__ import annotations

from tillpost.simulator import Answer, Call
from tillpost_simulators.kounta.responses import created
from tillpost_simulators.kounta.errors import bad_request, not_found
from tillpost_simulators.kounta.order_json import IMAGE
from tillpost_simulators.kounta.responses import base_url, paged
from tillpost_simulators.kounta.wire import CustomerBody, Json, json_answer, read
from tillpost_simulators.kounta.world import Customer, World


def list_customers(world: World, call: Call) -> Answer:
    """All customers, or those with a `reference_id`; one email, or one name and phone, lead to that customer.

    Such a search answers 302 to the customer's own address, or 404 (vendor's page).
    """
    query = call.query
    everyone = list(world.customers.values())
    if "email" in query:
        return _one(world, call, [who for who in everyone if who.email == query["email"]])
    if {"first_name", "last_name", "phone"} <= query.keys():
        wanted = (query["first_name"], query["last_name"], query["phone"])
        return _one(
            world,
            call,
            [who for who in everyone if (who.first_name, who.last_name, who.phone) == wanted],
        )
    if "reference_id" in query:
        everyone = [who for who in everyone if who.reference_id == query["reference_id"]]
    return paged(world, call, everyone, lambda who: who.id, lambda who: _listed(world, who))


def get_customer(world: World, call: Call) -> Answer:
    """One customer."""
    return json_answer(_single(world, _find(world, call)))


def create_customer(world: World, call: Call) -> Answer:
    """Makes a customer: a first name, and an email or a phone at least (vendor's page).

    unconfirmed: that a second customer with the same email is made too, and the refusal's text; two
    real calls would tell.
    """
    asked = read(CustomerBody, call.body)
    if not asked.first_name or not (asked.email or asked.phone):
        raise bad_request("first_name and either email or phone are required.")
    customer = Customer(world.new_id(), **asked.model_dump())
    world.customers[customer.id] = customer
    path = f"/v1/companies/{world.settings.company_id}/customers/{customer.id}"
    return created(world, call, path, _single(world, customer))


def update_customer(world: World, call: Call) -> Answer:
    """Changes what the body names."""
    customer = _find(world, call)
    for name, value in read(CustomerBody, call.body).model_dump(exclude_unset=True).items():
        setattr(customer, name, value)
    return json_answer(_single(world, customer))


def _one(world: World, call: Call, found: list[Customer]) -> Answer:
    if not found:
        raise not_found()
    if not world.settings.redirects_to_customers:
        return json_answer(_single(world, found[0]))
    suffix = ".json" if call.path.endswith(".json") else ""
    path = f"/v1/companies/{world.settings.company_id}/customers/{found[0].id}{suffix}"
    return Answer(302, headers={"Location": f"{base_url(call)}{path}"})


def _find(world: World, call: Call) -> Customer:
    asked = call.path_values["customer"]
    customer = world.customers.get(int(asked)) if asked.isdecimal() else None
    if customer is None:
        raise not_found()
    return customer


def _listed(world: World, customer: Customer) -> Json:
    return {
        "id": customer.id,
        "company_id": world.settings.company_id,
        "first_name": customer.first_name,
        "last_name": customer.last_name,
        "primary_email_address": customer.email,
        "image": IMAGE,
    }


def _single(world: World, customer: Customer) -> Json:
    now = world.clock.written(
        world.clock.now()
    )  # always the present, the vendor's page says: the real one isn't kept
    return _listed(world, customer) | {
        "reference_id": customer.reference_id,
        "email_addresses": [customer.email] if customer.email else [],
        "phone": customer.phone,
        "tags": [],
        "created_at": now,
        "updated_at": now,
    }
