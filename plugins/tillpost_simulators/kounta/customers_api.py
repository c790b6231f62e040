"""Operations on customers (vendor's page: Customers).

Callers search a customer by email, or by name and phone, and create one if there is none.
"""

from __future__ import annotations

from tillpost.simulator import Answer, Call
from tillpost_simulators.kounta.errors import bad_request, not_found
from tillpost_simulators.kounta.order_json import IMAGE
from tillpost_simulators.kounta.resources import created, find_in_path, paged, url_of
from tillpost_simulators.kounta.wire import CustomerBody, Json, json_answer, parse_body
from tillpost_simulators.kounta.world import Customer, World


def list_customers(world: World, call: Call) -> Answer:
    """List customers, or find one by email, or by first name, last name and phone.

    A list may be filtered by `reference_id`. A search for one customer answers 302 to the
    customer's address, or 404 (vendor's page).
    """
    query = call.query
    customers = list(world.customers.values())
    if "email" in query:
        found = [customer for customer in customers if customer.email == query["email"]]
        return _only_customer(world, call, found)
    if {"first_name", "last_name", "phone"} <= query.keys():
        found = [customer for customer in customers if _is_named(customer, call)]
        return _only_customer(world, call, found)
    if "reference_id" in query:
        wanted = query["reference_id"]
        customers = [customer for customer in customers if customer.reference_id == wanted]
    return paged(
        world,
        call,
        customers,
        key=lambda customer: customer.id,
        write=lambda customer: _listed(world, customer),
    )


def get_customer(world: World, call: Call) -> Answer:
    """Return one customer."""
    customer = find_in_path(call, "customer", world.customers)
    return json_answer(_single(world, customer))


def create_customer(world: World, call: Call) -> Answer:
    """Create a customer.

    A first name, and an email or a phone are required (vendor's page).

    unconfirmed: that a second customer with the same email is created too, and the refusal's text;
    two real calls would show it.
    """
    body = parse_body(CustomerBody, call.body)
    if not body.first_name or not (body.email or body.phone):
        raise bad_request("first_name and either email or phone are required.")
    customer = Customer(world.new_id(), **body.model_dump())
    world.customers[customer.id] = customer
    return created(world, call, _path(world, customer), _single(world, customer))


def update_customer(world: World, call: Call) -> Answer:
    """Change the fields that the body names."""
    customer = find_in_path(call, "customer", world.customers)
    body = parse_body(CustomerBody, call.body)
    for name, value in body.model_dump(exclude_unset=True).items():
        setattr(customer, name, value)
    return json_answer(_single(world, customer))


def _is_named(customer: Customer, call: Call) -> bool:
    query = call.query
    return (
        customer.first_name == query["first_name"]
        and customer.last_name == query["last_name"]
        and customer.phone == query["phone"]
    )


def _only_customer(world: World, call: Call, found: list[Customer]) -> Answer:
    if not found:
        raise not_found()
    customer = found[0]
    if not world.settings.redirects_to_customers:
        return json_answer(_single(world, customer))
    location = url_of(call, _path(world, customer))
    return Answer(302, headers={"Location": location})


def _path(world: World, customer: Customer) -> str:
    return f"/v1/companies/{world.settings.company_id}/customers/{customer.id}"


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
    # Both dates are always the present: Kounta doesn't store the real ones (vendor's page).
    now = world.clock.written(world.clock.now())
    more: Json = {
        "reference_id": customer.reference_id,
        "email_addresses": [customer.email] if customer.email else [],
        "phone": customer.phone,
        "tags": [],
        "created_at": now,
        "updated_at": now,
    }
    return _listed(world, customer) | more
