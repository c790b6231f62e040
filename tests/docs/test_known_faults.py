"""The page of known faults is sorted, and every test that it names exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "known-faults.md"


REPORTED = (
    "forum 20906",
    "woocommerce-square 295",
    "forum 25057, 11705, 2354",
    "Lightspeed community 1130",
    "square/connect-ruby-sdk",
    "PostHog/posthog 64704",
    "wc-plugin-framework 492",
    "coopcycle-web 4429",
    "WC-Local-Pickup 46",
    "sold-out status",
    "forum 21523",
    "Deliverect, modifiers and quantities",
    "TastyIgniter 521",
    "woocommerce-services 1309",
    "laravel-square 95",
    "woocommerce-square 440",
    "elizaOS/eliza 23639",
    "woocommerce-local-pickup-time 73",
    "woocommerce-square 540",
    "odoo/odoo 40567",
    "forum 24786",
    "woocommerce-square 487",
    "openfoodfacts-server 8225",
    "laravel-square 49",
    "forum 9477, 13601",
    "zomato-clone-react-native 1246",
    "calcom/cal.diy 13845",
    "ecommerce_integrations 99",
    "Indigo, release notes of 15/10/2018",
    "Square docs, pagination",
)
"""The sources of the public reports of orders, money and menus, each of which must have a row."""


def rows() -> list[list[str]]:
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_rows_are_complete_and_sorted_by_topic() -> None:
    assert all(len(row) == 5 and all(row) for row in rows())
    topics = [row[0] for row in rows()]
    assert topics == sorted(topics)


def test_every_reported_fault_has_a_row() -> None:
    sources = "\n".join(row[2] for row in rows())
    assert [source for source in REPORTED if source not in sources] == []


def test_every_row_names_a_test() -> None:
    assert all(re.search(r"`test_\w+`", row[4]) for row in rows())


def test_every_named_test_exists() -> None:
    named = {name for row in rows() for name in re.findall(r"`(test_\w+)`", row[4])}
    sources = [path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    defined = set(re.findall(r"^\s*(?:async )?def (test_\w+)\(", "\n".join(sources), re.MULTILINE))
    assert named
    assert named - defined == set()
