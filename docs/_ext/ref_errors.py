"""The error classes, the remedies and the exit codes."""

from __future__ import annotations

import inspect
import string
from collections.abc import Iterable, Mapping
from typing import Any

import ref_markdown as md

from tillpost import errors
from tillpost.adapter import Adapter, Row
from tillpost.cli.exit_codes import CODES, code_for
from tillpost.errors import KeyRetiredError, PosError
from tillpost.errors.remedies import REMEDIES


def public_errors() -> list[type[PosError]]:
    """Return every error class that a caller can catch, in the order of the source."""
    exported = [getattr(errors, name) for name in errors.__all__]
    kinds = [
        kind
        for kind in exported
        if isinstance(kind, type)
        and issubclass(kind, PosError)
        and kind not in (PosError, KeyRetiredError)
    ]
    return sorted(kinds, key=lambda kind: inspect.getsourcelines(kind)[1])


def error_classes() -> str:
    """Return the table of error classes."""
    columns = ("Class", "When", "Transient", "Who acts", "Action", "Exit code")
    rows: list[tuple[str, ...]] = []
    for kind in public_errors():
        remedy = REMEDIES[kind.default_remedy]
        parent = kind.__mro__[1].__name__
        name = f"`{kind.__name__}`"
        if parent != PosError.__name__:
            name += f" (a `{parent}`)"
        transient = "yes" if kind.transient else "no"
        rows.append(
            (
                name,
                md.summary(kind.__doc__ or ""),
                transient,
                remedy.actor.value,
                f"`{remedy.action.value}`",
                str(code_for(kind())),
            )
        )
    return md.table(columns, rows)


def remedies() -> str:
    """Return every remedy: its error class and reason, who acts, and the texts."""
    class_of = {
        kind.default_remedy: kind.__name__ for kind in reversed(public_errors())
    }
    by_class: dict[str, list[md.Definition]] = {}
    for key, remedy in REMEDIES.items():
        kind, _, reason = key.partition(".")
        subject = f"reason `{reason}`" if reason else "no reason given"
        meanings = (
            f"**Manager:** {remedy.manager}",
            f"**Developer:** {remedy.developer}",
            f"**Customer:** {remedy.customer.not_there}",
        )
        entry = md.Definition(f"{subject}: {remedy.actor.value} acts", meanings)
        by_class.setdefault(class_of[kind], []).append(entry)
    parts: list[str] = []
    for name, entries in by_class.items():
        parts += [f"### Remedies of {name}", md.definition_list(entries)]
    return md.sections(*parts)


MOST_CODES = 6
"""Longer sets of codes are listed below the table, under a letter."""


def refusals(adapter: type[Adapter[Any]]) -> str:
    """Return an adapter's error table, in the order in which its rows are tried."""
    long_sets = dict.fromkeys(
        row.codes for row in adapter.errors if len(row.codes) > MOST_CODES
    )
    letters = dict(zip(long_sets, string.ascii_uppercase, strict=False))
    rows: list[tuple[str, ...]] = []
    for row in adapter.errors:
        reason = f"`{row.reason}`" if row.reason else ""
        error = f"`{row.error.__name__}`"
        applied = row.applied.name if row.applied else "by status"
        rows.append((_conditions(row, letters), error, reason, applied))
    codes = [
        md.Definition(f"Codes {letter}", [_code_list(code_set)])
        for code_set, letter in letters.items()
    ]
    table = md.table(("Answer", "Error", "Reason", "Applied"), rows)
    return md.sections(table, md.definition_list(codes) if codes else "")


def _conditions(row: Row, letters: Mapping[frozenset[str], str]) -> str:
    """Return what a row matches on, as inline Markdown."""
    parts: list[str] = []
    if row.status:
        parts.append(f"status {_statuses(row.status)}")
    if row.codes in letters:
        parts.append(f"one of the codes {letters[row.codes]}")
    elif row.codes:
        parts.append(f"code {_code_list(row.codes)}")
    if row.field:
        parts.append(f"field {md.code(row.field)}")
    if row.text:
        parts.append(f"text {md.code(row.text)}")
    if row.bodyless:
        parts.append("also without a body")
    return "; ".join(parts) or "any"


def _code_list(codes: Iterable[str]) -> str:
    return ", ".join(f"`{code}`" for code in sorted(codes))


def _statuses(statuses: Iterable[int]) -> str:
    """Return statuses with runs joined.

    >>> _statuses([400, 404, 500, 501, 502])
    '400, 404, 500 to 502'
    """
    runs: list[list[int]] = []
    for status in sorted(statuses):
        if runs and status == runs[-1][-1] + 1:
            runs[-1].append(status)
        else:
            runs.append([status])
    return ", ".join(
        f"{run[0]} to {run[-1]}" if len(run) > 1 else str(run[0]) for run in runs
    )


def exit_codes() -> str:
    """Return the table of the command's exit codes."""
    return md.table(
        ("Code", "Meaning"), [(f"`{code}`", text) for code, text in CODES.items()]
    )
