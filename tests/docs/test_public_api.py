"""How a change of the public API is found: against its record, and against the changelog."""

from __future__ import annotations

from types import ModuleType

EMPTY = """\
## [Unreleased]

Nothing.

## [0.1.0]

- `Till.submit` was added.
"""
"""A changelog in which nothing is named that isn't released."""


def without(record: str, name: str) -> str:
    """Return a record without the lines of a name and its members."""
    starts = (f"{name}:", f"{name}.")
    lines = record.splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(starts)]
    return "".join(kept)


def with_signature(record: str, name: str, signature: str) -> str:
    """Return a record in which a name has another signature."""
    changed = f"{name}: {signature}\n"
    lines: list[str] = []
    for line in record.splitlines(keepends=True):
        is_of_name = line.startswith(f"{name}:")
        lines.append(changed if is_of_name else line)
    return "".join(lines)


def changelog_with(line: str) -> str:
    """Return a changelog with a line in the part that isn't released."""
    return EMPTY.replace("Nothing.", line)


def test_same_api_has_no_changes(api: ModuleType) -> None:
    assert api.changes(api.record()) == []


def test_new_function_must_be_named_in_changelog(api: ModuleType) -> None:
    name = "tillpost.explain"
    record = without(api.record(), name)
    assert api.changes(record) == [name]
    assert api.unnamed([name], record, EMPTY) == [name]
    named = changelog_with("- `explain` is new.")
    assert api.unnamed([name], record, named) == []


def test_removed_name_must_be_named_in_changelog(api: ModuleType) -> None:
    name = "tillpost.gone"
    record = api.record() + f"{name}: def gone() -> None\n"
    assert api.changes(record) == [name]
    assert api.unnamed([name], record, EMPTY) == [name]


def test_changed_signature_must_be_named_in_changelog(api: ModuleType) -> None:
    """A line about an earlier version doesn't count."""
    name = "tillpost.Till.submit"
    record = with_signature(api.record(), name, "def submit(self)")
    assert api.changes(record) == [name]
    assert api.unnamed([name], record, EMPTY) == [name]
    named = changelog_with("- `Till.submit` takes `is_new`.")
    assert api.unnamed([name], record, named) == []


def test_members_of_new_class_need_no_line_of_their_own(api: ModuleType) -> None:
    record = without(api.record(), "tillpost.Limits")
    changed = api.changes(record)
    assert "tillpost.Limits.connect" in changed
    named = changelog_with("- `Limits` bounds an answer.")
    assert api.unnamed(changed, record, named) == []


def test_hook_with_new_argument_is_a_change(api: ModuleType) -> None:
    name = "hooks.outage_ended"
    signature = "def outage_ended(connection: str) -> None"
    record = with_signature(api.record(), name, signature)
    assert api.changes(record) == [name]
