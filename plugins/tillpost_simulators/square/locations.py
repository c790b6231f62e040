"""Operations on locations and the merchant (spec: /v2/locations, /v2/merchants)."""

from __future__ import annotations

from tillpost.simulator import Answer, Call
from tillpost_simulators.square.errors import not_found
from tillpost_simulators.square.world import Location, World

_COUNTRIES = {"AUD": "AU", "USD": "US", "CAD": "CA", "JPY": "JP", "GBP": "GB", "EUR": "IE"}
_TIMEZONES = {
    "AU": "Australia/Sydney",
    "US": "America/New_York",
    "JP": "Asia/Tokyo",
    "GB": "Europe/London",
}
_SINCE = "2024-01-01T00:00:00Z"


def list_locations(world: World, _: Call) -> Answer:
    """List the locations (spec: ListLocations).

    They are ordered by name, and inactive ones are listed too.
    """
    found = sorted(world.locations.values(), key=lambda location: location.name)
    return Answer.of({"locations": [_location(world, location) for location in found]})


def retrieve_location(world: World, call: Call) -> Answer:
    """Return one location (spec: RetrieveLocation).

    "main" is the first location.
    """
    location_id = call.path_values["location_id"]
    if location_id == "main":
        location_id = next(iter(world.locations))
    location = world.locations.get(location_id)
    if location is None:
        raise not_found(f"Location `{location_id}` not found.", "location_id")
    return Answer.of({"location": _location(world, location)})


def retrieve_merchant(world: World, call: Call) -> Answer:
    """Return one merchant (spec: RetrieveMerchant).

    "me" is the token's own merchant.
    """
    settings = world.settings
    if call.path_values["merchant_id"] not in ("me", settings.merchant_id):
        raise not_found("Merchant not found.", "merchant_id")
    merchant = {
        "id": settings.merchant_id,
        "business_name": "Simulated Cafe",
        "country": _country(world),
        "language_code": "en-AU",
        "currency": settings.currency,
        "status": "ACTIVE",
        "main_location_id": next(iter(world.locations)),
        "created_at": _SINCE,
    }
    return Answer.of({"merchant": merchant})


def _country(world: World) -> str:
    return _COUNTRIES.get(world.settings.currency, "AU")


def _location(world: World, location: Location) -> dict[str, object]:
    country = _country(world)
    return {
        "id": location.id,
        "name": location.name,
        "timezone": _TIMEZONES.get(country, "Etc/UTC"),
        "capabilities": ["CREDIT_CARD_PROCESSING"],
        "status": "ACTIVE" if location.active else "INACTIVE",
        "created_at": _SINCE,
        "merchant_id": world.settings.merchant_id,
        "country": country,
        "language_code": "en-AU",
        "currency": world.settings.currency,
        "business_name": "Simulated Cafe",
        "type": "PHYSICAL",
    }
