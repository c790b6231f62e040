"""Write the generated parts of the docs, so that they can be read in a clone.

`python docs/render.py` writes them. `--check` changes nothing, and fails if a page is out of date.
`--api` fails if the public API differs from its last record in a name that CHANGELOG.md doesn't
name under Unreleased. `--record` writes that record; do it at a release.

A generated part is between two comments in a page; what is around it is written by hand:

    <!-- generated: settings tillpost_square.settings:SquareSettings -->
    ...
    <!-- end generated -->
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from pkgutil import resolve_name

DOCS = Path(__file__).parent
ROOT = DOCS.parent
CHANGELOG = ROOT / "CHANGELOG.md"

sys.path.insert(0, str(DOCS / "_ext"))

import ref_api  # noqa: E402
import ref_command  # noqa: E402
import ref_errors  # noqa: E402
import ref_faults  # noqa: E402
import ref_models  # noqa: E402
import ref_remarks  # noqa: E402
import ref_speed  # noqa: E402

PARTS: Mapping[str, Callable[[], str]] = {
    "command": ref_command.commands,
    "error-classes": ref_errors.error_classes,
    "exit-codes": ref_errors.exit_codes,
    "fault-tests": ref_faults.fault_tests,
    "hooks": ref_api.hook_sections,
    "public-api": ref_api.public_api,
    "remedies": ref_errors.remedies,
    "speed": ref_speed.speed,
    "unconfirmed": ref_remarks.unconfirmed,
}

PARTS_WITH_SUBJECT: Mapping[str, Callable[..., str]] = {
    "format": ref_models.json_format,
    "module": ref_api.module_names,
    "refusals": ref_errors.refusals,
    "settings": ref_models.settings,
}

_GENERATED = re.compile(
    r"^(<!-- generated: (?P<part>[\w-]+)(?: (?P<subject>[\w.:]+))? -->\n)"
    r".*?"
    r"(^<!-- end generated -->$)",
    re.MULTILINE | re.DOTALL,
)


def pages() -> list[Path]:
    """Return the pages of the docs."""
    return sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts)


def rendered(text: str) -> str:
    """Return a page's text with its generated parts written anew."""
    return _GENERATED.sub(_replacement, text)


def _replacement(match: re.Match[str]) -> str:
    part, subject = match["part"], match["subject"]
    written = (
        PARTS_WITH_SUBJECT[part](resolve_name(subject)) if subject else PARTS[part]()
    )
    return f"{match[1]}\n{written}\n\n{match[4]}"


def write() -> None:
    """Write every page whose generated parts have changed."""
    for page in pages():
        before = page.read_text(encoding="utf-8")
        after = rendered(before)
        if after != before:
            page.write_text(after, encoding="utf-8")
            print(f"wrote {page.relative_to(ROOT)}")


def check() -> int:
    """Name each page that is out of date; return the exit code."""
    stale: list[Path] = []
    for page in pages():
        text = page.read_text(encoding="utf-8")
        if rendered(text) != text:
            stale.append(page.relative_to(ROOT))
    for page in stale:
        print(f"{page} is out of date: run python docs/render.py", file=sys.stderr)
    return 1 if stale else 0


def check_api() -> int:
    """Name each change of the public API that the changelog lacks; return the exit code."""
    recorded = ref_api.RECORD.read_text(encoding="utf-8")
    changelog = CHANGELOG.read_text(encoding="utf-8")
    missing = ref_api.unnamed(ref_api.changes(recorded), recorded, changelog)
    for name in missing:
        print(
            f"the public API changed: run docs/render.py, and add a line to CHANGELOG.md under "
            f"Unreleased that names `{name}`",
            file=sys.stderr,
        )
    return 1 if missing else 0


def main() -> int:
    """Run what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(
        description="Write the generated parts of the docs."
    )
    parser.add_argument(
        "--check", action="store_true", help="change nothing; fail if out of date"
    )
    parser.add_argument(
        "--api", action="store_true", help="fail if a change of the API is unnamed"
    )
    parser.add_argument(
        "--record", action="store_true", help="record the API, at a release"
    )
    arguments = parser.parse_args()
    if arguments.record:
        ref_api.RECORD.write_text(ref_api.record(), encoding="utf-8")
        return 0
    if arguments.api:
        return check_api()
    if arguments.check:
        return check()
    write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
