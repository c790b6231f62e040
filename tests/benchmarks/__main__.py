"""Prints how fast Tillpost is, as ratios: `(cd tests && python -m benchmarks)`.

`python -m benchmarks submit at-once-64` runs these rows alone: names, or the words that they begin
with. `--write FOLDER` writes `speed.txt`, `speed.json` and `speed.svg` there.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import at_once, menus, starting, submission
from benchmarks.frame import ROWS, Result, Row, measure
from benchmarks.report import as_json, as_svg, as_table

_MODULES = (submission, at_once, menus, starting)
"""The modules whose rows are in the table."""


def _selected(names: list[str]) -> list[Row]:
    """Return the rows of these names, or of names that begin with one of them; all for none."""
    if not names:
        return list(ROWS.values())
    selected: list[Row] = []
    for name in names:
        found = _named(name)
        if not found:
            known = ", ".join(ROWS)
            sys.exit(f"no row is named {name}; rows: {known}")
        selected += found
    return selected


def _named(name: str) -> list[Row]:
    if name in ROWS:
        return [ROWS[name]]
    return [row for row in ROWS.values() if row.name.startswith(f"{name}-")]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", help="names of rows, or what they begin with")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write all figures")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="where to draw them, as SVG")
    parser.add_argument("--machine", default="", help="what kind of machine it is")
    return parser.parse_args()


def main() -> None:
    """Measure the rows that the command line selects, and print the table."""
    arguments = _arguments()
    selected = _selected(arguments.rows)
    results: list[Result] = []
    for row in selected:
        print(f"{row.name}: {row.text}", file=sys.stderr, flush=True)
        result = measure(row)
        results.append(result)
    table = as_table(results)
    print(table)

    date = datetime.now(UTC).date().isoformat()
    if arguments.json:
        figures = as_json(results, machine=arguments.machine, date=date)
        arguments.json.write_text(figures, encoding="utf-8")
    if arguments.plot:
        title = f"How fast Tillpost is, {date}"
        drawing = as_svg(results, title=title)
        arguments.plot.write_text(drawing, encoding="utf-8")


if __name__ == "__main__":
    main()
