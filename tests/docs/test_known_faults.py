"""The page of known faults is sorted, and every test that it names exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "known-faults.md"


REPORTED = (
    "Square forum 20906",
    "woocommerce/woocommerce-square 295",
    "Square forum 25057",
    "Square forum 11705",
    "Square forum 2354",
    "Lightspeed community 1130",
    "square/connect-ruby-sdk",
    "PostHog/posthog 64704",
    "godaddy-wordpress/wc-plugin-framework 492",
    "coopcycle/coopcycle-web 4429",
    "WC-Local-Pickup/woocommerce-local-pickup-time 46",
    "sold-out status",
    "Square forum 21523",
    "Deliverect, modifiers and quantities",
    "tastyigniter/TastyIgniter 521",
    "Automattic/woocommerce-services 1309",
    "NikolaGavric94/laravel-square 95",
    "woocommerce/woocommerce-square 440",
    "elizaOS/eliza 23639",
    "WC-Local-Pickup/woocommerce-local-pickup-time 73",
    "woocommerce/woocommerce-square 540",
    "odoo/odoo 40567",
    "Square forum 24786",
    "woocommerce/woocommerce-square 487",
    "openfoodfacts/openfoodfacts-server 8225",
    "NikolaGavric94/laravel-square 49",
    "Square forum 9477",
    "Square forum 13601",
    "hector-jewell/zomato-clone-react-native 1246",
    "calcom/cal.diy 13845",
    "frappe/ecommerce_integrations 99",
    "HQBase/hqbase 41",
    "Indigo, release notes of 15/10/2018",
    "Square docs, pagination",
)
"""The sources of the public reports of orders, money and menus, each of which must have a row."""


PAGES_WITHOUT_AN_ADDRESS = (
    "our own",
    "Deliverect, modifiers and quantities",
    "Indigo, release notes of 15/10/2018",
    "Lightspeed community 1130",
    "Square docs, pagination",
    "Square docs, sold-out status",
)


def rows() -> list[list[str]]:
    faults, _ = PAGE.read_text("utf-8").split("## The tests")
    lines = [line for line in faults.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_rows_are_complete_and_sorted_by_topic() -> None:
    assert all(len(row) == 5 and all(row) for row in rows())
    topics = [row[0] for row in rows()]
    assert topics == sorted(topics)


def test_every_reported_fault_has_a_row() -> None:
    sources = "\n".join(row[2] for row in rows())
    assert [source for source in REPORTED if source not in sources] == []


def test_every_source_has_one_form_and_a_link() -> None:
    """An issue's text and its address name the same repository and number."""
    for row in rows():
        for source in re.split(r"; |, (?=\[)", row[2]):
            issue = re.fullmatch(
                r"\[(\S+/\S+) (\d+)\]\(https://github\.com/(\S+)/issues/(\d+)\)", source
            )
            thread = re.fullmatch(
                r"\[Square forum (\d+)\]\(https://developer\.squareup\.com/forums/t/(\d+)\)", source
            )
            if issue:
                assert issue.group(1, 2) == issue.group(3, 4)
            elif thread:
                assert thread[1] == thread[2]
            else:
                assert source in PAGES_WITHOUT_AN_ADDRESS or "square/connect-ruby-sdk" in source


def test_every_row_names_a_test() -> None:
    assert all(re.search(r"`test_\w+`", row[4]) for row in rows())


def test_every_named_test_is_listed_with_its_file() -> None:
    """`docs/render.py` writes the list; here it is read as a reader would."""
    _, listed = PAGE.read_text("utf-8").split("## The tests")
    for row in rows():
        for name in re.findall(r"`(test_\w+)`", row[4]):
            (line,) = [line for line in listed.splitlines() if f"`{name}`" in line]
            file = line.split("`")[1]
            assert f"def {name}(" in (ROOT / file).read_text("utf-8")


def test_every_named_test_exists() -> None:
    named = {name for row in rows() for name in re.findall(r"`(test_\w+)`", row[4])}
    sources = [path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    defined = set(re.findall(r"^\s*(?:async )?def (test_\w+)\(", "\n".join(sources), re.MULTILINE))
    assert named
    assert named - defined == set()
