"""`tillpost order check`: explain an order without sending it.

With `--json` it prints {"ok", "order", "steps": [{"field", "text", "how", "amount", "adds",
"depth"}], "total", "settled": [as steps], "faults": [{"field", "text", "off_by"}], "lines":
[{"line", "name", "on_menu", "item_id"}], "connections": [{"connection", "platform", "ok",
"needs_menu", "knows_currency", "not_taken": {path: what}, "notices", "problems": [{"error",
"remedy", "exit_code"}], "setup"}]}. Amounts are in minor units of the order's currency. `lines` is
empty without a menu.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Annotated

import typer
from pydantic import ValidationError

from tillpost.adapter.order_features import uncarried_fields
from tillpost.cli.connection_option import AsJson, ConfigFile
from tillpost.cli.exit_codes import BAD_INPUT, NOT_RIGHT, OK, CliError, code_for
from tillpost.cli.input import STDIN, each_refusal, read_content, read_model
from tillpost.cli.offline_connections import (
    KnownSettings,
    known_settings,
    offline_connection,
    platform_connection,
)
from tillpost.cli.outbox_option import DatabaseUrl
from tillpost.cli.output import error_facts, print_line, show_facts, show_json, show_table
from tillpost.config import config_path
from tillpost.errors import ConfigError, PosError
from tillpost.errors.remedies import ACTORS
from tillpost.menus.matching import fit
from tillpost.models.arithmetic import Arithmetic, Step, SumFault, arithmetic, read_unchecked
from tillpost.models.menu import Menu
from tillpost.models.money import format_money
from tillpost.models.order import Order, describe_lines
from tillpost.submission.context import Connection
from tillpost.submission.forecast import forecast

__all__ = ["check"]


@dataclass(frozen=True)
class _MenuLine:
    """A line of the order, and whether the menu has it. `item_id` is the menu's."""

    line: int
    name: str
    on_menu: bool
    item_id: str


@dataclass(frozen=True)
class _Outlook:
    """What one connection would do with the order.

    Attributes:
        connection: Its name.
        platform: The adapter's name.
        title: The platform's name for people.
        needs_menu: Whether its menu must be known to say more.
        knows_currency: Whether its store's currency is known, and was compared.
        not_taken: The fields that the platform doesn't take, and what each is.
        notices: What would be changed.
        problems: Why the order would be refused before anything is sent.
        setup: What is wrong with the connection's settings, "" if nothing is.
    """

    connection: str
    platform: str = ""
    title: str = ""
    needs_menu: bool = False
    knows_currency: bool = False
    not_taken: Mapping[str, str] = field(default_factory=dict[str, str])
    notices: Sequence[str] = ()
    problems: Sequence[PosError] = ()
    setup: str = ""

    @property
    def code(self) -> int:
        """The exit code, 0 if the order would be sent."""
        if self.setup:
            return BAD_INPUT
        if self.problems:
            return code_for(self.problems[0])
        return NOT_RIGHT if self.needs_menu else OK

    def facts(self) -> Mapping[str, object]:
        """Return it for programs."""
        facts = asdict(self)
        del facts["title"]
        problems = [error_facts(error) for error in self.problems]
        return {**facts, "ok": self.code == OK, "problems": problems}


@dataclass(frozen=True)
class _Explanation:
    """What there is to say of an order.

    Attributes:
        order: The order, whatever its sums.
        sums: Its arithmetic.
        lines: Where on the menu each line is; empty without a menu.
        outlooks: What each connection would do with it; empty if its sums are wrong.
    """

    order: Order
    sums: Arithmetic
    lines: Sequence[_MenuLine]
    outlooks: Sequence[_Outlook]

    @property
    def code(self) -> int:
        """The exit code."""
        codes = [outlook.code for outlook in self.outlooks if outlook.code]
        if codes:
            # What is known comes before what can't be said.
            return next((code for code in codes if code != NOT_RIGHT), NOT_RIGHT)
        is_on_menu = all(line.on_menu for line in self.lines)
        return OK if is_on_menu and not self.sums.faults else NOT_RIGHT

    def facts(self) -> Mapping[str, object]:
        """Return it for programs."""
        order = self.order
        return {
            "ok": self.code == OK,
            "order": {"id": order.id, "code": order.code, "currency": order.currency},
            "steps": [step._asdict() for step in self.sums.steps],
            "total": self.sums.total,
            "settled": [step._asdict() for step in self.sums.settled],
            "faults": [fault._asdict() for fault in self.sums.faults],
            "lines": [asdict(line) for line in self.lines],
            "connections": [outlook.facts() for outlook in self.outlooks],
        }


def check(
    order_file: Annotated[
        str, typer.Argument(metavar="ORDER.JSON", help="The order; - reads standard input.")
    ],
    connection: Annotated[
        str,
        typer.Option(
            "--connection",
            "-c",
            metavar="NAME",
            help="Look at this connection only; without it, at all that are known.",
        ),
    ] = "",
    platform: Annotated[
        str,
        typer.Option(
            "--platform",
            metavar="NAME",
            help="Look at this platform with its default settings, whatever is connected.",
        ),
    ] = "",
    menu_file: Annotated[
        str,
        typer.Option("--menu", metavar="FILE", help="The store's menu, as `menu import` wrote it."),
    ] = "",
    config: ConfigFile = "",
    db: DatabaseUrl = "",
    as_json: AsJson = False,
) -> None:
    """Explain an order's sums, and what each platform would do with it.

    The connections are those of the TOML file and of the outbox's database. Nothing is sent, and
    no token is needed. An order that passes may still be refused by the platform, which knows more
    than this command. One that can't be judged without the store's menu doesn't pass.
    """
    if platform and connection:
        raise CliError("--platform and --connection don't go together")
    order = _read(order_file)
    menu = read_model(Menu, menu_file) if menu_file else None
    sums = arithmetic(order)
    outlooks: list[_Outlook] = []
    if platform and not sums.faults:
        outlooks.append(_outlook(order, platform_connection(platform, menu)))
    elif not sums.faults:
        outlooks += _outlooks(order, known_settings(connection, config, db), menu, connection)
    found = _Explanation(order, sums, _menu_lines(order, menu), outlooks)
    if as_json:
        show_json(found.facts())
    else:
        _show(found, config)
    if found.code:
        raise typer.Exit(found.code)


def _read(path: str) -> Order:
    """Read an order, whatever its sums."""
    content = read_content(path)
    try:
        return read_unchecked(content)
    except ValidationError as error:
        name = "standard input" if path == STDIN else path
        first, *others = each_refusal(Order, name, error)
    # Raised out here, because the ValidationError quotes the order.
    raise CliError(first, more=others)


def _menu_lines(order: Order, menu: Menu | None) -> Sequence[_MenuLine]:
    """Return where on the menu each line is. An open item needs no menu."""
    lines: list[_MenuLine] = []
    if menu is None:
        return lines
    for index, found in enumerate(fit(order, menu)):
        item_id = found.sold.variation.id if found.sold else ""
        on_menu = found.line.is_open or found.is_on_menu
        lines.append(_MenuLine(index, found.line.name, on_menu, item_id))
    return lines


def _outlooks(
    order: Order, connections: Sequence[KnownSettings], menu: Menu | None, name: str
) -> Iterator[_Outlook]:
    """Yield what each connection would do. One that was named must be right."""
    if menu and len(connections) > 1:
        names = ", ".join(each.name for each in connections)
        raise CliError(f"whose menu is it? Name one with --connection: {names}")
    for known in connections:
        try:
            found = offline_connection(known, menu)
        except ConfigError as error:
            if name:
                raise
            yield _Outlook(known.name, setup=str(error))
        else:
            yield _outlook(order, found)


def _outlook(order: Order, connection: Connection) -> _Outlook:
    adapter = connection.adapter
    expected = forecast(connection, order)
    not_taken = {
        path: feature.words
        for feature, paths in uncarried_fields(order, adapter.carries).items()
        for path in paths
    }
    return _Outlook(
        connection=connection.name,
        platform=adapter.platform,
        title=adapter.title,
        needs_menu=expected.needs_menu,
        knows_currency=expected.knows_currency,
        not_taken=not_taken,
        notices=expected.notices,
        problems=expected.refusals,
    )


# What is printed
# -------------------------------------------------------------------------------------------------


def _show(found: _Explanation, config: str) -> None:
    _show_sums(found.order, found.sums)
    _show_faults(found.order, found.sums.faults)
    _show_lines(found.order, found.lines)
    for outlook in found.outlooks:
        _show_outlook(outlook, found.order.currency)
    if not found.sums.faults and not found.outlooks:
        print_line(
            f"{config_path(config)} has no connection; --platform NAME says what a platform would "
            "do with the order."
        )


def _show_sums(order: Order, sums: Arithmetic) -> None:
    currency = order.currency
    rows = [_row(step, currency) for step in sums.steps]
    tax = "included in the prices" if order.prices_include_tax else "added to the prices"
    rows.append(("Total", f"tax is {tax}", format_money(sums.total, currency)))
    rows += [_row(step, currency) for step in sums.settled]
    show_table(f"Order {order.code}", ("What", "How", "Amount"), rows)


def _show_faults(order: Order, faults: Sequence[SumFault]) -> None:
    if faults:
        print_line("The order doesn't add up", "bold red")
    for fault in faults:
        off_by = format_money(abs(fault.off_by), order.currency)
        way = "too much" if fault.off_by > 0 else "too little"
        print_line(f"  {fault.field}: {fault.text} ({off_by} {way})")


def _show_lines(order: Order, lines: Sequence[_MenuLine]) -> None:
    missing = [line.line for line in lines if not line.on_menu]
    if missing:
        names = ", ".join(describe_lines(order, missing))
        print_line(f"Not on the menu, or not with these choices: {names}", "bold red")
    elif lines:
        print_line("Every line is on the menu.", "bold green")


def _row(step: Step, currency: str) -> tuple[str, str, str]:
    """Return a step's cells. What is within another step's amount is in brackets."""
    amount = format_money(step.amount, currency)
    # A table's cells lose spaces at their beginning.
    text = f"{'· ' * step.depth}{step.text}"
    return text, step.how, amount if step.adds else f"({amount})"


def _show_outlook(outlook: _Outlook, currency: str) -> None:
    who = outlook.connection
    if outlook.title and outlook.platform != outlook.connection:
        who = f"{who} ({outlook.title})"
    elif outlook.title:
        who = outlook.title
    if outlook.setup:
        print_line(f"{who}: the connection's settings are wrong", "bold red")
        show_facts([("Settings", outlook.setup)])
        return
    if outlook.problems:
        print_line(f"{who}: would be refused before anything is sent", "bold red")
    elif outlook.needs_menu:
        print_line(f"{who}: can't be said without the store's menu; see --menu", "bold yellow")
    elif outlook.knows_currency:
        print_line(f"{who}: would be sent", "bold green")
    else:
        print_line(f"{who}: would be sent, if the store sells in {currency}", "bold green")
    facts = [("Changed", notice) for notice in outlook.notices]
    for error in outlook.problems:
        remedy = error.remedy
        facts.append((type(error).__name__, error.detail))
        facts.append(("Who must act", f"{ACTORS[remedy.actor]}: {remedy.manager}"))
    show_facts(facts)
