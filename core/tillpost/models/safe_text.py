r"""Text from outside, made safe for where it goes. Pure.

Platforms, webhooks, customers, plugins and rows of a database write texts that Tillpost passes on.
Each place that they go to has a function here, and no place has two:

- `without_controls`: an order or a menu, of which every adapter makes notes and dockets
- `storable`: a database or a file
- `one_line`: a terminal, a docket, a note at a register; `plain` also limits its length
- `log_value`: a field of a log line; `safe_logger` does the same for whole records
- `shell_word`, `shell_option`: a command that people are told to type

None changes what people really write, in any script: joined emoji and letters stay as they are.

>>> one_line("two\nlines, \x1b[2J and \u202ereversed")
'two lines, [2J and reversed'
"""

from __future__ import annotations

import json
import logging
import re
import shlex
import traceback
from collections.abc import Collection
from itertools import islice
from typing import Any

__all__ = [
    "cut",
    "listing",
    "log_value",
    "one_line",
    "plain",
    "safe_logger",
    "shell_option",
    "shell_word",
    "storable",
    "without_controls",
]

MOST_LISTED = 20
"""How many names a text lists."""

LONGEST_LOG_VALUE = 500
"""Characters of a text that a log line shows."""

LONGEST_LOG_LINE = 4_000
"""Characters of a whole log line, without its traceback."""

# Zero-width joiners connect letters of several scripts, and emoji. After ASCII they only hide.
_JOINED = "\u200c\u200d\u180e"
_JOINER_AT_WORK = re.compile(rf"(?<=[^\x00-\x7f{_JOINED}])[{_JOINED}](?=[^\x00-\x7f{_JOINED}])")
# The flags of England, Scotland and Wales: a black flag, and a region in tag characters.
_FLAG = re.compile("\U0001f3f4[\U000e0030-\U000e007a]{3,6}\U000e007f")
# Marks above and below a letter: more than any script needs hide the lines beside theirs.
_STACKED = re.compile(
    r"([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{4})"
    r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)
_SPACES = re.compile(r"[\s\x1c-\x1f\x85\u2028\u2029]+")
_LINE_BREAKS = re.compile(r"\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_WITHIN_LINES = re.compile(r"[^\n\t]+")
_HIDDEN = (
    r"\x7f-\x9f"  # C1 controls
    r"\xad\u200b\u2060-\u2064\ufeff\ufff9-\ufffb"  # invisible
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # the direction of writing
    r"\ud800-\udfff"  # halves of surrogate pairs
    r"\ufdd0-\ufdef\ufffe\uffff"  # not characters
)
_UNSAFE = re.compile(rf"[\x00-\x1f{_HIDDEN}]")
_TAGS = "\U000e0000-\U000e007f"
_JOINERS_AND_TAGS = re.compile(f"[{_JOINED}{_TAGS}]")
# All that `without_controls` may change. Most texts have none of it, and a menu has 100,000 texts.
_SUSPECT = re.compile(rf"[\x00-\x08\x0b-\x1f{_HIDDEN}\u2028\u2029{_JOINED}{_TAGS}]")


def storable(text: str) -> str:
    r"""Return a text that every database and file can hold.

    PostgreSQL refuses a NUL, and no encoding has half of a surrogate pair. Each becomes U+FFFD, so
    that no two different texts become the same one by a character that is dropped.

    >>> storable("a\0b")
    'a\ufffdb'
    """
    if text.isascii():
        if "\0" not in text:
            return text
        return text.replace("\0", "\ufffd")
    return re.sub("[\0\ud800-\udfff]", "\ufffd", text)


def one_line(text: str) -> str:
    r"""Return a text as one line that shows what it says.

    Controls, invisible characters and those that change the direction of writing are left out;
    white space becomes one space. Joiners between letters or emoji stay.

    >>> one_line("\x1bp\0 kicks the drawer\u2028open")
    'p kicks the drawer open'
    """
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    shown = _without_hidden(_SPACES.sub(" ", text))
    return " ".join(_STACKED.sub(r"\1", shown).split())


def without_controls(text: str) -> str:
    r"""Return a text with its lines, without printers' and terminals' commands.

    What `one_line` leaves out is left out here too; line breaks and tabs stay.

    >>> without_controls("no onion\r\n\x1bp ring twice")
    'no onion\np ring twice'
    """
    is_plain = text.isascii() and text.isprintable()
    if is_plain or not _SUSPECT.search(text):
        return text
    return _WITHIN_LINES.sub(_without_hidden_in, _LINE_BREAKS.sub("\n", text))


def _without_hidden_in(found: re.Match[str]) -> str:
    return _without_hidden(found[0])


def _without_hidden(text: str) -> str:
    """Return a text without unsafe characters, and without joiners that join nothing."""
    visible = _UNSAFE.sub("", text)
    kept = {found.start() for found in _JOINER_AT_WORK.finditer(visible)}
    for flag in _FLAG.finditer(visible):
        kept.update(range(*flag.span()))
    return _JOINERS_AND_TAGS.sub(lambda found: found[0] if found.start() in kept else "", visible)


def cut(text: str, longest: int) -> str:
    """Return a text of at most `longest` characters.

    A longer one ends with an ellipsis.

    >>> cut("espresso", 5)
    'espr…'
    """
    if len(text) <= longest:
        return text
    return text[: longest - 1] + "…"


def plain(text: str, longest: int) -> str:
    """Return a text as `one_line` does, of at most `longest` characters.

    What follows far behind the limit isn't even looked at.
    """
    return cut(one_line(text[: 4 * longest]), longest)


def log_value(value: object) -> str:
    r"""Return a value as a log line shows it: one plain word, or else a JSON string.

    >>> log_value("cafe-42"), log_value("x\n12:00 INFO forged")
    ('cafe-42', '"x\\n12:00 INFO forged"')
    """
    text = cut(str(value), LONGEST_LOG_VALUE)
    is_plain = text.isprintable() and not any(character in text for character in ' "=')
    if is_plain:
        return text
    return json.dumps(text)


def listing(names: Collection[str]) -> str:
    """Return names as a list for an error's one line, of which many aren't all shown.

    >>> listing(["cafe-1", "cafe-2"]), listing([]), listing(["cafe"] * 2_000)[-14:]
    ('cafe-1, cafe-2', 'none', ' and 1980 more')
    """
    shown = ", ".join(islice(names, MOST_LISTED)) or "none"
    left_out = len(names) - MOST_LISTED
    return f"{shown} and {left_out} more" if left_out > 0 else shown


def shell_word(text: str) -> str:
    """Return a text as one argument of a command that is typed into a shell.

    A text that looks like an option follows `--`, so it has to be the last argument.

    >>> shell_word("A-1"), shell_word("$(reboot)"), shell_word("--help")
    ('A-1', "'$(reboot)'", '-- --help')
    """
    word = shlex.quote(one_line(text))
    if not text.startswith("-"):
        return word
    return f"-- {word}"


def shell_option(name: str, value: str) -> str:
    """Return an option with its value, for a command that is typed into a shell.

    >>> shell_option("--connection", "cafe 42")
    "--connection='cafe 42'"
    """
    return f"{name}={shlex.quote(one_line(value))}"


def safe_logger(name: str) -> logging.Logger:
    """Return a logger whose lines nobody outside can forge.

    A message is one line, whatever its arguments say. A traceback is indented, so that a line of an
    exception's text can't pass for one of the log.
    """
    logger = logging.getLogger(name)
    if not any(isinstance(existing, _OneLineRecords) for existing in logger.filters):
        logger.addFilter(_OneLineRecords())
    return logger


class _OneLineRecords(logging.Filter):
    """A filter that makes the records of one logger safe. It leaves none out."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        shown = cut(_escaped(message), LONGEST_LOG_LINE)
        if shown != message:
            record.msg = shown
            record.args = None
        if record.exc_info and not record.exc_text:
            record.exc_text = _indented(record.exc_info)
        return True


def _escaped(line: str) -> str:
    """Return a line with all that `one_line` would drop shown as escapes."""
    if line.isprintable():
        return line
    for unsafe in (_SPACES, _UNSAFE, _JOINERS_AND_TAGS):
        line = unsafe.sub(_escape, line)
    return line


def _escape(found: re.Match[str]) -> str:
    if found[0].isspace() and found[0].isprintable():
        return found[0]
    return _escape_all(found[0])


def _escape_all(text: str) -> str:
    return text.encode("unicode_escape").decode()


def _indented(exc_info: Any) -> str:
    text = "".join(traceback.format_exception(*exc_info))
    lines = [f"    {_escaped(line)}" for line in text.splitlines()]
    return "\n".join(lines)
