"""Text from outside can do nothing where it goes, and what people write stays as it is."""

from __future__ import annotations

import io
import json
import logging
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillpost.models.safe_text import log_value, one_line, plain, safe_logger, shell_word, storable
from tillpost.testing.adversary import LEGITIMATE, POISONS

HIDDEN = "\u200b\u202e\u2066\u2028\u2029\ufeff\x1b\x9b\x00\x07\x08\r\n\U000e0069\ud83d\u200f"


@pytest.mark.parametrize("name", POISONS)
def test_poison_becomes_one_visible_line(name: str) -> None:
    line = one_line(POISONS[name])
    assert line.isprintable()
    assert not set(line) & set(HIDDEN)
    line.encode()


@pytest.mark.parametrize("name", LEGITIMATE)
def test_what_people_write_stays_as_it_is(name: str) -> None:
    text = LEGITIMATE[name]
    assert one_line(f"for {text}, please") == f"for {' '.join(text.split())}, please"
    assert storable(text) == text


def test_joiner_in_latin_is_left_out() -> None:
    assert one_line("pay\u200dpal") == "paypal"


@pytest.mark.parametrize("name", POISONS)
def test_storable_text_has_no_nul_and_is_utf8(name: str) -> None:
    stored = storable(POISONS[name])
    assert "\0" not in stored
    stored.encode()
    assert len(stored) == len(POISONS[name])


@pytest.mark.parametrize("name", POISONS)
def test_log_value_is_one_short_word_or_json_string(name: str) -> None:
    shown = log_value(POISONS[name])
    assert shown.isprintable()
    assert len(shown) < 4_000
    if shown.startswith('"'):
        assert isinstance(json.loads(shown), str)
    else:
        assert " " not in shown


@pytest.mark.parametrize("name", sorted({*POISONS} - {"long", "shell_option"}))
def test_shell_word_reaches_a_program_as_one_argument(name: str) -> None:
    script = f"set -- {shell_word(POISONS[name])}; printf '%s %s' $# \"$*\""
    printed = subprocess.run(["sh", "-c", script], capture_output=True, check=True, text=True)
    assert printed.stdout == f"1 {one_line(POISONS[name])}"


def test_shell_word_cannot_be_an_option() -> None:
    assert shell_word("--db=evil") == "-- --db=evil"


@given(st.text(st.characters()))
def test_safe_text_stays_as_it_is(text: str) -> None:
    line = one_line(text)
    assert one_line(line) == line
    assert len(line) <= len(text)
    assert plain(plain(text, 20), 20) == plain(text, 20)
    assert storable(storable(text)) == storable(text)


def logged(name: str, *arguments: object, failure: BaseException | None = None) -> str:
    logger = safe_logger(f"tillpost.test_safe_text.{name}")
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger.addHandler(handler)
    try:
        logger.warning(*arguments, exc_info=failure)
    finally:
        logger.removeHandler(handler)
    return stream.getvalue()


@pytest.mark.parametrize("name", POISONS)
def test_a_log_message_is_one_line(name: str) -> None:
    text = logged(name, "menu of %s: %s", POISONS[name], ValueError(POISONS[name]))
    (line,) = text.splitlines()
    assert line.startswith("WARNING menu of ")
    assert line.isprintable()
    assert len(line) < 5_000


@pytest.mark.parametrize("name", LEGITIMATE)
def test_a_log_message_keeps_what_people_write(name: str) -> None:
    assert LEGITIMATE["accents"] in logged(name, "for %s", LEGITIMATE["accents"])


def test_no_line_of_a_traceback_passes_for_a_log_line() -> None:
    try:
        raise ValueError("x\nERROR order_lost id=forged\x1b[2J")
    except ValueError as failure:
        first, *rest = logged("traceback", "hook failed", failure=failure).splitlines()
    assert first == "WARNING hook failed"
    assert all(line.startswith("    ") for line in rest)
    assert "\x1b" not in "".join(rest)
