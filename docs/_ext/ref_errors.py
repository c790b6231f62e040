"""The error classes, the remedies and the exit codes."""

from __future__ import annotations

import inspect

import ref_markdown as md

from tillpost import errors
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
    """Return every remedy: its error class and reason, who acts, and both texts."""
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
        )
        entry = md.Definition(f"{subject}: {remedy.actor.value} acts", meanings)
        by_class.setdefault(class_of[kind], []).append(entry)
    parts: list[str] = []
    for name, entries in by_class.items():
        parts += [f"### Remedies of {name}", md.definition_list(entries)]
    return md.sections(*parts)


def exit_codes() -> str:
    """Return the table of the command's exit codes."""
    return md.table(
        ("Code", "Meaning"), [(f"`{code}`", text) for code, text in CODES.items()]
    )
