"""Secrets and a customer's texts are found however a server echoes them."""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from core.toy import ToySettings, toy_order
from tillpost import Order
from tillpost.adapter.echoes import ESCAPED_IN, hide_nothing, hider, without_secrets
from tillpost.adapter.redaction import LONGEST, MASK, PUBLIC_FIELDS, redact
from tillpost.adapter.redaction import masked as masked_value

TOKEN = "EAAA+b/c=d\"e&f<g>h'i"
Spelling = Callable[[str], str]


def all_escaped(pattern: str) -> Spelling:
    return lambda text: "".join(pattern.format(ord(character)) for character in text)


SPELLINGS: dict[str, Spelling] = {
    "as it is": str,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON in JSON": lambda text: json.dumps(json.dumps(text))[3:-3],
    "JSON with slashes": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "JSON, plus escaped": lambda text: text.replace("+", "\\u002B").replace('"', '\\"'),
    "JSON, all escaped": all_escaped("\\u{:04x}"),
    "JSON, in capitals": all_escaped("\\u{:04X}"),
    "URL": quote,
    "URL, slashes too": lambda text: quote(text, safe=""),
    "URL in a URL": lambda text: quote(quote(text, safe=""), safe=""),
    "URL, all escaped": all_escaped("%{:02x}"),
    "HTML": html.escape,
    "HTML in HTML": lambda text: html.escape(html.escape(text)),
    "HTML, decimal": all_escaped("&#{};"),
    "HTML, hexadecimal": all_escaped("&#x{:X};"),
    "HTML, with zeros": all_escaped("&#x{:06x};"),
}


def masked(body: bytes, secrets: Sequence[str]) -> bytes:
    (shown,) = without_secrets(secrets, body)
    return shown


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_echoed_secret_is_masked_and_the_rest_stays(spelling: Spelling) -> None:
    before, after = 'caf\u00e9 \\n 50% &amp; {"a": "', '", "b": "\\u00e9 & %zz \\\\/"}'
    body = f"{before}{spelling(TOKEN)}{after}{spelling(TOKEN)}.".encode()
    assert masked(body, [TOKEN]) == f"{before}{MASK}{after}{MASK}.".encode()


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16"])
def test_secret_echoed_in_utf_16_is_masked(encoding: str) -> None:
    shown = masked(f"you sent {TOKEN}".encode(encoding), [TOKEN])
    assert TOKEN[:4].encode("utf-16-le").strip(b"\0") not in shown


def test_secret_beyond_ascii_is_masked() -> None:
    password = "p\u00e4ssw\u00f6rt-\u2603"
    for spelling in (password, json.dumps(password), quote(password)):
        assert b"ssw" not in masked(f"<{spelling}>".encode(), [password])


def test_short_secret_stays_in_an_answer() -> None:
    assert masked(b'{"orders": 1}', ["orders"]) == b'{"orders": 1}'


@settings(max_examples=40)
@given(st.binary(max_size=300), st.text(min_size=8, max_size=12))
def test_any_body_and_secret_can_be_masked(body: bytes, secret: str) -> None:
    secret = secret.encode("utf-8", "replace").decode()
    spelled = body + json.dumps(secret).encode() + body
    assert secret.encode() not in masked(spelled, [secret])
    assert masked(body, []) == body


@pytest.mark.parametrize("piece", [b"\\", b"%25", b"&amp;", b"\\u0041", b"&#65;", b"%41", b"E"])
def test_masking_takes_time_in_proportion_to_the_size(piece: bytes) -> None:
    body = (piece * ESCAPED_IN)[: 2 * ESCAPED_IN]
    began = time.thread_time()
    masked(body, [TOKEN, "E" * 8 + "x"])
    assert time.thread_time() - began < 2


def test_escaped_secrets_that_overlap_are_both_masked() -> None:
    shown = masked(b"<one-two%2dthree-four>", ["one-two-three", "two-three-four"])
    assert not any(part in shown for part in (b"one", b"two", b"three", b"four"))
    assert (shown[:1], shown[-1:]) == (b"<", b">")


@pytest.mark.parametrize("number", range(8))
def test_secret_that_begins_with_another_is_masked_whole(number: int) -> None:
    short = f"{number}-one-two"
    assert b"three" not in masked(f"<{short}-three>".encode(), [short, f"{short}-three"])


# People


def order(**changed: object) -> Order:
    known = toy_order().model_dump(mode="json")
    customer = {"name": "Mia O'Brien-Chen", "phone": "+61 400 123 456", "email": "mia@example.com"}
    address = {"line1": "7 Example Street", "city": "Newtown", "postcode": "2042"}
    delivery = {"type": "delivery", "address": address, "instructions": "beware of the dog"}
    own = {"customer": customer, "fulfilment": delivery, "note": "no peanuts, please"}
    return Order.model_validate({**known, **own, **changed})


SETTINGS = ToySettings(base_url="https://pos.example", access_token=SecretStr("abc12"))


@pytest.mark.parametrize(
    "echo",
    [
        "Mia O'Brien-Chen",
        "mia",
        "MIA",
        "o'brien-chen",
        "O&#39;Brien-Chen",
        "O\\u0027Brien-Chen",
        "mia@example.com",
        "Mia%40Example.com",
        "+61 400 123 456",
        "+61400123456",
        "0400 123 456",
        "(0400) 123-456",
        "7 example street",
        "Newtown",
        "2042",
        "beware of the dog",
        "no peanuts, please",
        "abc12",
    ],
)
def test_customers_own_text_is_masked_wherever_it_is_echoed(echo: str) -> None:
    hide = hider(order(), SETTINGS)
    assert hide(f"refused: {echo}; try later") == f"refused: {MASK}; try later"
    assert hide(echo) == MASK


# More zeros at the end would leave too few digits in "1.05e8".
NATIONAL = st.builds(
    "{}{}".format,
    st.integers(10**7, 10**9).filter(lambda number: number % 10),
    st.sampled_from(["", "0"]),
)
PHONES = st.builds("{}{}".format, st.sampled_from(["", "0", "00", "+", "+61 "]), NATIONAL)
SEPARATORS = st.sampled_from(["", " ", "-", ".", ",", "_", "'", "/", "\u00a0", "\u2011", "\u2013"])


def grouped(digits: str, separator: str, size: int) -> str:
    """Return digits in groups."""
    groups = [digits[start : start + size] for start in range(0, len(digits), size)]
    return separator.join(groups)


def spellings_of_number(digits: str) -> st.SearchStrategy[str]:
    """Return how a program may write a number, in JSON and in a text."""
    value = int(digits)
    significant = digits.rstrip("0")
    exponent = len(digits) - 1
    mantissa = f"{significant[0]}.{significant[1:] or '0'}"
    numbers = [
        f"{value}",
        f"-{value}",
        f"{value}.0",
        f"{value}.50",
        f"{mantissa}e{exponent}",
        f"{mantissa}E+{exponent:02}",
        f"{mantissa}00e{exponent}",
        f"{value}e-3",
        f"{value}0000e-4",
        f"0.{value}",
    ]
    return st.sampled_from(numbers)


@settings(max_examples=400)
@given(st.data())
def test_phone_number_is_masked_however_it_is_written(data: st.DataObject) -> None:
    phone = data.draw(PHONES)
    digits = re.sub(r"\D", "", phone).lstrip("0")
    hide = hider(order(customer={"name": "Bo", "phone": phone}), SETTINGS)
    number = data.draw(spellings_of_number(digits))
    text = grouped(digits, data.draw(SEPARATORS), data.draw(st.integers(1, 4)))
    leaf = data.draw(st.sampled_from([number, f'"{number}"', f'"got {number}."', f'"{text}"']))
    nesting = ["{}", "[[7, {}]]", '{{"customer": {{"phone": {}}}}}', '{{"errors": [{{"n": {}}}]}}']
    body = data.draw(st.sampled_from(nesting)).format(leaf)

    shown = redact(f'{{"detail": {body}, "total": 1450}}'.encode(), PUBLIC_FIELDS, hide)
    assert '"total": 1450' in shown
    assert digits.strip("0")[-8:] not in re.sub(r"\D", "", shown)


@pytest.mark.parametrize("number", [Decimal("61400123456"), Decimal("6.1400123456e10")])
def test_phone_number_as_a_decimal_is_masked(number: Decimal) -> None:
    hide = hider(order(), SETTINGS)
    assert masked_value([[number]], PUBLIC_FIELDS, hide=hide) == [[MASK]]
    assert masked_value([Decimal("14.50")], PUBLIC_FIELDS, hide=hide) == [Decimal("14.50")]


@pytest.mark.parametrize("number", [14.5, 1450.0, 1e300, 5e-324, -0.1 - 0.2, 13.181818181818182])
def test_number_of_no_customer_stays(number: float) -> None:
    body = json.dumps({"n": number}).encode()
    assert redact(body, PUBLIC_FIELDS, hider(order(), SETTINGS)) == body.decode()


def test_infinity_and_nan_stay() -> None:
    body = b'{"n": [NaN, Infinity, -Infinity]}'
    assert redact(body, PUBLIC_FIELDS, hider(order(), SETTINGS)) == body.decode()


def test_words_that_only_contain_a_customers_text_stay() -> None:
    text = "Miami, abc123, 20421 and newtowns are missing from order B42"
    assert hider(order(), SETTINGS)(text) == text


def test_short_words_of_a_note_stay() -> None:
    hide = hider(order(note="no", customer={"name": "Bo", "phone": "12"}), SETTINGS)
    assert hide("no item 12 for Bo") == f"no item 12 for {MASK}"


def test_words_of_a_guest_at_the_kerb_are_hidden() -> None:
    kerb = {"type": "pickup", "curbside": {"details": "blue van, ABC 123"}}
    hide = hider(order(fulfilment=kerb), SETTINGS)
    assert hide("no blue van, ABC 123 here") == f"no {MASK} here"


def test_order_without_a_person_hides_nothing() -> None:
    open_settings = ToySettings(base_url="https://pos.example")
    assert hider(None, open_settings) is hide_nothing
    assert hider(None, open_settings)("Mia") == "Mia"
    assert hider(toy_order(), SETTINGS)("the item Toast is gone") == "the item Toast is gone"


# Bodies

PERSONAL = [
    "Mia",
    "o'brien-chen",
    "0400 123 456",
    "61400123456",
    "7 Example Street",
    "***",
    "ab\nc",
]


def spelled(spelling: str, text: str) -> str:
    return SPELLINGS[spelling](text)


PIECES = st.one_of(
    st.sampled_from(["", " ", "\n", "_", "é", "%", "&", "\\", "\\u", "&#", "04", "7", "4", "0400"]),
    st.sampled_from(PERSONAL),
    st.builds(spelled, st.sampled_from([*SPELLINGS]), st.sampled_from(PERSONAL)),
)
TEXTS = st.lists(PIECES, max_size=4).map("".join)
BODIES = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from([1450, 14.5, 61400123456, -61400123456, 61400123456.5])
    | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "detail", "customer", "n"]) | TEXTS, inner)
    ),
    max_leaves=8,
)
SECRETS = SETTINGS.model_copy(
    update={"refresh_token": SecretStr("ab\nc"), "client_secret": SecretStr("***")}
)


@settings(max_examples=300)
@given(BODIES)
def test_body_is_redacted_as_each_of_its_texts_would_be(body: object) -> None:
    hide = hider(order(), SECRETS)
    one_by_one = json.dumps(masked_value(body, PUBLIC_FIELDS, hide=hide), ensure_ascii=False)
    assert redact(json.dumps(body).encode(), PUBLIC_FIELDS, hide) == one_by_one[:LONGEST]


@settings(max_examples=300)
@given(st.lists(TEXTS, max_size=4))
def test_texts_together_change_if_one_of_them_does(texts: list[str]) -> None:
    hide = hider(order(), SECRETS)
    together = "\n".join(texts)
    if any(hide(text) != text for text in texts):
        assert hide(together) != together
