"""How a change of the public API is found: against its record, and against the changelog."""

from __future__ import annotations

from types import ModuleType

EMPTY = "## [Unreleased]\n\nNothing.\n\n## [0.1.0]\n\n- `Till.submit` was added.\n"


def without(record: str, name: str) -> str:
    """Return a record without the lines of a name and its members."""
    lines = record.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith((f"{name}:", f"{name}.")))


def test_same_api_has_no_changes(api: ModuleType) -> None:
    assert api.changes(api.record()) == []


def test_new_function_must_be_named_in_changelog(api: ModuleType) -> None:
    record = without(api.record(), "tillpost.explain")
    assert api.changes(record) == ["tillpost.explain"]
    assert api.unnamed(["tillpost.explain"], record, EMPTY) == ["tillpost.explain"]
    named = EMPTY.replace("Nothing.", "- `explain` is new.")
    assert api.unnamed(["tillpost.explain"], record, named) == []


def test_removed_name_must_be_named_in_changelog(api: ModuleType) -> None:
    record = api.record() + "tillpost.gone: def gone() -> None\n"
    assert api.changes(record) == ["tillpost.gone"]
    assert api.unnamed(["tillpost.gone"], record, EMPTY) == ["tillpost.gone"]


def test_changed_signature_must_be_named_in_changelog(api: ModuleType) -> None:
    """A line about an earlier version doesn't count."""
    name = "tillpost.Till.submit"
    record = "".join(
        f"{name}: def submit(self)\n" if line.startswith(f"{name}:") else line
        for line in api.record().splitlines(keepends=True)
    )
    assert api.changes(record) == [name]
    assert api.unnamed([name], record, EMPTY) == [name]
    named = EMPTY.replace("Nothing.", "- `Till.submit` takes `is_new`.")
    assert api.unnamed([name], record, named) == []


def test_members_of_new_class_need_no_line_of_their_own(api: ModuleType) -> None:
    record = without(api.record(), "tillpost.Limits")
    changed = api.changes(record)
    assert "tillpost.Limits.connect" in changed
    named = EMPTY.replace("Nothing.", "- `Limits` bounds an answer.")
    assert api.unnamed(changed, record, named) == []


def test_hook_with_new_argument_is_a_change(api: ModuleType) -> None:
    record = api.record().replace(
        "hooks.outage_ended: def outage_ended(connection: str, outage: Outage) -> None",
        "hooks.outage_ended: def outage_ended(connection: str) -> None",
    )
    assert api.changes(record) == ["hooks.outage_ended"]
