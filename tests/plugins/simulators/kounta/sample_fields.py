"""The fields of the samples in Kounta's documentation, by sample and JSON type: facts, no texts.

A path leads through objects by `.` and through arrays by `[]`. A field with two types is listed
under both. `test_fixtures` compares the table with the simulator's answers, and with the samples
themselves where they are available (see `vendor_documents`).
"""

from __future__ import annotations

from collections.abc import Mapping

_FIELDS: Mapping[str, Mapping[str, str]] = {
    "categories": {
        "number": "[].id [].company_id",
        "string": "[].name",
    },
    "companies_me": {
        "array": "postal_address.lines",
        "null": "shipping_address",
        "number": """
            id postal_address.id addresses.count contact_staff_member.id sites.count
            registers.count registers.limit
        """,
        "object": "postal_address addresses contact_staff_member timezone sites registers",
        "string": """
            name postal_address.city postal_address.zone postal_address.postal_code
            postal_address.country addresses.updated_at business_number
            contact_staff_member.first_name contact_staff_member.last_name
            contact_staff_member.email image website currency timezone.offset timezone.name
            sites.updated_at registers.updated_at created_at updated_at
        """,
    },
    "create_order_request": {
        "array": "lines lines[].modifiers payments lock",
        "boolean": "complete_when_paid pass_thru_printing",
        "number": """
            guests customer_id site_id lines[].product_id lines[].quantity lines[].unit_price
            lines[].price_variation price_limit price_variation payments[].method_id
            payments[].amount
        """,
        "string": """
            notes order_type lines[].notes payments[].ref callback_uri placed_at fulfil_at
        """,
    },
    "order": {
        "array": "lines payments",
        "number": """
            id company_id customer.id register_id site_id lines[].id lines[].number
            lines[].product.id lines[].quantity lines[].unit_price lines[].unit_tax
            lines[].price_variation payments[].id payments[].method.id payments[].amount
        """,
        "object": "customer lines[].product payments[].method",
        "string": """
            status notes customer.first_name customer.last_name customer.email customer.image
            lines[].product.name lines[].notes payments[].method.name payments[].created_at
            payments[].ref callback_uri placed_at fulfil_at created_at updated_at
        """,
    },
    "orders": {
        "array": "[].lines [].payments",
        "number": """
            [].id [].company_id [].total [].paid [].customer.id [].lines[].id [].lines[].number
            [].lines[].product.id [].lines[].quantity [].lines[].unit_price [].lines[].unit_tax
            [].lines[].price_variation [].payments[].id [].payments[].method.id
            [].payments[].amount
        """,
        "object": "[].customer [].lines[].product [].payments[].method",
        "string": """
            [].status [].notes [].created_at [].updated_at [].placed_at [].fulfil_at
            [].customer.first_name [].customer.last_name [].customer.email [].customer.image
            [].lines[].product.name [].lines[].notes [].payments[].method.name
            [].payments[].created_at [].payments[].ref
        """,
    },
    "price_lists": {
        "null": "[].parent_id",
        "number": "[].id [].parent_id",
        "string": "[].name",
    },
    "product": {
        "array": "tags taxes",
        "number": "id company_id unit_price cost_price stock taxes[].id taxes[].rate",
        "string": "name code description barcode image taxes[].code taxes[].name",
    },
    "products": {
        "array": "[].tags",
        "number": "[].company_id [].id [].cost_price [].unit_price [].stock",
        "string": "[].name [].description [].image",
    },
    "registers": {
        "number": "[].id [].site_id",
        "string": "[].code [].name",
    },
    "sites": {
        "number": "[].company_id [].id",
        "string": "[].name [].code",
    },
    "taxes": {
        "number": "[].company_id [].id [].rate",
        "string": "[].code [].name",
    },
}


def sample_fields(name: str) -> dict[str, set[str]]:
    """Return the JSON types of each field of a sample, by the field's path."""
    found: dict[str, set[str]] = {}
    for json_type, paths in _FIELDS[name].items():
        for path in paths.split():
            found.setdefault(path, set()).add(json_type)
    return found


SAMPLES = frozenset(_FIELDS)
"""The names of the samples."""
