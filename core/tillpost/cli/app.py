"""The Typer application: every command with its example, the plugins' commands, and the rule of the one line.

Whatever is wrong with a command's use or input ends as one line on standard error and an exit code
from `exits`, never as a traceback. A plugin whose commands can't be used loses them, and nothing
else.
"""

from __future__ import annotations

import logging
import sys
from importlib.metadata import version as installed_version
from typing import Annotated, Any, cast

import typer
from typer.core import TyperGroup

from tillpost.cli.commands import (
    check,
    connections,
    demo,
    diagnose,
    keys,
    menu,
    menu_review,
    order_actions,
    orders,
    outbox,
    simulate,
    status,
    submit,
    test_order,
    worker,
)
from tillpost.cli.exit_codes import BAD_INPUT, CODES, INTERRUPTED, CliError
from tillpost.cli.output import complain
from tillpost.errors import ConfigError
from tillpost.plugins.manager import Hooks

__all__ = ["build", "run"]

UsageError = cast("type[Exception]", typer.BadParameter.__base__)
"""Typer's own exception for wrong usage: its home differs from version to version, its place above this one doesn't."""

_EXIT_CODES = "\n".join(
    ["Exit codes:", "", *(f"- {code}: {meaning}" for code, meaning in CODES.items())]
)


_ORDERS = """Find the outbox's orders, see what happened to one, and act on it.

Begin with list, by the customer's name; then tillpost diagnose says why an order isn't on the register, and what to do.
"""


class OneLineGroup(TyperGroup):
    """A group of commands that says what is wrong in one line."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command and exit with its code."""
        code: object
        try:
            code = super().main(*args, **{**kwargs, "standalone_mode": False})
        except CliError as stop:
            complain(str(stop))
            code = stop.code
        except ConfigError as error:
            complain(str(error))
            code = BAD_INPUT
        except UsageError as error:
            complain(_usage(error))
            code = BAD_INPUT
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise CliError("interrupted", INTERRUPTED) from None


class OneLineLog(logging.Handler):
    """Shows Tillpost's own warnings, such as a plugin that can't be loaded, as one line each."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the record, with an exception's kind but not its traceback."""
        kind = record.exc_info[0] if record.exc_info else None
        complain(record.getMessage() + (f" ({kind.__name__})" if kind else ""))


def run() -> None:
    """Run the command of this process."""
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(
                errors="replace"
            )  # a dish's name must not end the command on a terminal without its letters
    logging.getLogger("tillpost").addHandler(OneLineLog(logging.WARNING))
    logging.getLogger().addHandler(
        logging.NullHandler()
    )  # else every library's warnings go to standard error
    build()()


def build() -> typer.Typer:
    """Return the application, plugins' commands included."""
    app = typer.Typer(
        name="tillpost",
        cls=OneLineGroup,
        callback=_root,
        invoke_without_command=True,
        add_completion=False,
        pretty_exceptions_enable=False,  # they show locals, and with them tokens
        rich_markup_mode="markdown",
        epilog=_EXIT_CODES,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    menus = typer.Typer(
        name="menu", help="Import the store's menu, and find what is wrong with it."
    )
    menus.command("import", epilog=_example("menu import --connection cafe-42 --output menu.json"))(
        menu.import_
    )
    menus.command(
        "check", epilog=_example("menu check order.json --connection cafe-42 --menu menu.json")
    )(menu.check)
    menus.command("diff", epilog=_example("menu diff monday.json tuesday.json"))(menu.diff)
    menus.command("imports", epilog=_example("menu imports --connection cafe-42"))(
        menu_review.imports
    )
    menus.command("accept", epilog=_example("menu accept --connection cafe-42"))(menu_review.accept)
    menus.command("discard", epilog=_example("menu discard --connection cafe-42"))(
        menu_review.discard
    )
    outboxes = typer.Typer(
        name="outbox", help="Add an order to the outbox, and care for its database."
    )
    outboxes.command("add", epilog=_example("outbox add order.json --connection cafe-42"))(
        outbox.add
    )
    outboxes.command("migrate", epilog=_example("outbox migrate --db sqlite:///orders.db"))(
        outbox.migrate
    )
    outboxes.command("erase", epilog=_example("outbox erase --days 30"))(outbox.erase)
    outboxes.command("prune", epilog=_example("outbox prune --days 90"))(outbox.prune)
    listed = typer.Typer(name="orders", help=_ORDERS)
    listed.command("list", epilog=_example("orders list --problem"))(orders.list_)
    listed.command("show", epilog=_example("orders show B42"))(orders.show)
    listed.command("accept", epilog=_example("orders accept B42"))(order_actions.accept)
    listed.command("advance", epilog=_example("orders advance B42 --to ready"))(
        order_actions.advance
    )
    listed.command("resubmit", epilog=_example("orders resubmit B42"))(order_actions.resubmit)
    listed.command("manual", epilog=_example("orders manual B42 > docket.txt"))(
        order_actions.manual
    )
    listed.command("cancel", epilog=_example("orders cancel B42"))(order_actions.cancel)
    listed.command("export", epilog=_example("orders export B42 > for-support.json"))(
        order_actions.export
    )
    keyring = typer.Typer(
        name="key", help="The key that the tokens in the outbox's database are sealed with."
    )
    keyring.command("new", epilog=_example("key new"))(keys.new)
    keyring.command("rotate", epilog=_example("key rotate"))(keys.rotate)
    app.command("submit", epilog=_example("submit order.json --connection cafe-42"))(submit.submit)
    app.add_typer(menus)
    app.command("worker", epilog=_example("worker --db sqlite:///orders.db"))(worker.worker)
    app.command("status", epilog=_example("status"))(status.status)
    app.add_typer(outboxes)
    app.add_typer(listed)
    app.command("diagnose", epilog=_example("diagnose B42"))(diagnose.diagnose_)
    app.command("connect", epilog=_example("connect square --name cafe-42"))(connections.connect)
    app.command("reconnect", epilog=_example("reconnect cafe-42"))(connections.reconnect)
    app.command("connections", epilog=_example("connections"))(connections.connections)
    app.command("disconnect", epilog=_example("disconnect cafe-42"))(connections.disconnect)
    app.add_typer(keyring)
    app.command("check", epilog=_example("check --connection cafe-42"))(check.check)
    app.command("test-order", epilog=_example("test-order --connection cafe-42"))(
        test_order.send_test_order
    )
    app.command("demo", epilog=_example("demo"))(demo.demo)
    app.command(
        "simulate", epilog=_example("simulate PLATFORM --port 8080 --faults 0.25 --seed 7")
    )(simulate.simulate)
    app.command("adapters", epilog=_example("adapters"))(check.adapters)
    app.command("schema", epilog=_example("schema order"))(check.schema)
    _add_plugins(app)
    return app


def _root(
    ctx: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Submit paid online orders to restaurants' point-of-sale platforms: once, or say who must act.

    An order isn't on the register? `tillpost orders list --search NAME` finds it by its customer's
    name, and `tillpost diagnose ORDER` says why, and what to do, step by step.
    """
    if version:
        typer.echo(f"tillpost {installed_version('tillpost')}")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
        raise typer.Exit(BAD_INPUT)


def _add_plugins(app: typer.Typer) -> None:
    plugged = typer.Typer()
    Hooks("").call("register_commands", {"cli": plugged})
    if not (plugged.registered_commands or plugged.registered_groups):
        return
    try:
        typer.main.get_command(plugged)
    except Exception as failure:  # noqa: BLE001  a stranger's command may be wrong in any way
        complain(f"the plugins' commands can't be used: {type(failure).__name__}: {failure}")
        return
    app.registered_commands += plugged.registered_commands
    app.registered_groups += plugged.registered_groups


def _example(command: str) -> str:
    return f"Example: tillpost {command}"


def _usage(error: Exception) -> str:
    """Typer's words for wrong usage, with the command whose help says more."""
    words = str(getattr(error, "format_message", error.__str__)())
    context = getattr(error, "ctx", None)
    return f"{words.rstrip('.')} (see {context.command_path} --help)" if context else words
