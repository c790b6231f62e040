"""Prints how fast Tillpost is, as ratios: `(cd tests && python -m benchmarks)`.

`python -m benchmarks submit at-once-64` runs these rows alone: names, or the words that they begin
with. It first says about how long that takes. Ctrl-C ends what was started, and prints the rows
that are done; `--json` and `--plot` write only what is whole.
"""

from __future__ import annotations

import argparse
import math
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import at_once, engines, menus, outbox, starting, stores, submission
from benchmarks.frame import ROWS, Result, Row, expected_seconds, measure
from benchmarks.report import as_json, as_svg, as_table

_MODULES = (submission, at_once, menus, starting, outbox, engines, stores)
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


def _measured(rows: list[Row]) -> tuple[list[Result], bool]:
    """Measure rows; return the results, and whether it was interrupted before the end."""
    minutes = math.ceil(expected_seconds(rows) / 60)
    print(f"rows: {len(rows)}; minutes: about {minutes}", file=sys.stderr)
    results: list[Result] = []
    try:
        for row in rows:
            print(f"{row.name}: {row.text}", file=sys.stderr, flush=True)
            results.append(measure(row))
    except KeyboardInterrupt:
        return results, True
    return results, False


def main() -> int:
    """Measure the rows that the command line selects, and print the table."""
    arguments = _arguments()
    selected = _selected(arguments.rows)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    results, interrupted = _measured(selected)
    print(as_table(results))
    if interrupted:
        return 130

    date = datetime.now(UTC).date().isoformat()
    if arguments.json:
        figures = as_json(results, machine=arguments.machine, date=date)
        arguments.json.write_text(figures, encoding="utf-8")
    if arguments.plot:
        title = f"How fast Tillpost is, {date}"
        drawing = as_svg(results, title=title)
        arguments.plot.write_text(drawing, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
