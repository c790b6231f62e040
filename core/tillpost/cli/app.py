"""The Typer application: commands, also plugins', and how errors end the process.

`run` is the entry point; `build` assembles the application. Wrong usage and bad input end as one
line on standard error and an exit code from `exit_codes`, never as a traceback. Plugins whose
commands can't be built lose them, and nothing else.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
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
    order_check,
    orders,
    outbox,
    simulate,
    status,
    submit,
    test_order,
    worker,
)
from tillpost.cli.exit_codes import BAD_INPUT, CODES, INTERRUPTED, NOT_RIGHT, CliError
from tillpost.cli.output import print_error
from tillpost.errors import ConfigError, is_interruption
from tillpost.plugins.manager import Hooks

__all__ = ["build", "run"]

UsageError = cast("type[Exception]", typer.BadParameter.__base__)
"""Typer's exception for wrong usage.

Its module differs between versions of Typer; its position in the class hierarchy doesn't.
"""

_ORDERS = "Submit orders"
_SUPPORT = "Support"
_STORES = "Stores"
_DEVELOPMENT = "Development"

_ORDERS_HELP = """Find orders in the outbox, show their history, and act on them.

`orders list --search NAME` finds an order. `tillpost diagnose` then says why it isn't on the
register, and what to do.
"""


class OneLineGroup(TyperGroup):
    """A command group that reports every error in one line."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command and exit with its code."""
        code: object
        try:
            code = super().main(*args, **{**kwargs, "standalone_mode": False})
            if sys.stdout:
                sys.stdout.flush()
        except OSError as error:
            print_error(f"the output can't be written, or a file read: {error.strerror or error}")
            _discard_output()
            code = NOT_RIGHT
        except CliError as error:
            for line in (str(error), *error.more):
                print_error(line)
            code = error.code
        except ConfigError as error:
            print_error(str(error))
            code = BAD_INPUT
        except UsageError as error:
            print_error(_usage_message(error))
            code = BAD_INPUT
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise CliError("interrupted", INTERRUPTED) from None


def _discard_output() -> None:
    """Let what couldn't be written go, so that Python doesn't try again when it exits."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class OneLineLog(logging.Handler):
    """A handler that prints Tillpost's warnings as one line each.

    A plugin that can't be loaded causes one, for example.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Print the record, with an exception's class but not its traceback."""
        exception = record.exc_info[0] if record.exc_info else None
        suffix = f" ({exception.__name__})" if exception else ""
        print_error(record.getMessage() + suffix)


def run() -> None:
    """Run the command with the process's arguments."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            # A name with letters that the terminal lacks must not end the command.
            reconfigure(errors="replace")
    logging.getLogger("tillpost").addHandler(OneLineLog(logging.WARNING))
    # Without a handler, Python would print every library's warnings to standard error.
    logging.getLogger().addHandler(logging.NullHandler())
    build()()


def build() -> typer.Typer:
    """Return the application, including the plugins' commands."""
    app = typer.Typer(
        name="tillpost",
        cls=OneLineGroup,
        callback=_root,
        invoke_without_command=True,
        add_completion=False,
        pretty_exceptions_enable=False,  # they print local variables, which may hold tokens
        rich_markup_mode="markdown",
        epilog=_exit_code_help(),
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    _add(app, submit.submit, "submit", "submit order.json --connection cafe-42", _ORDERS)
    _add(app, worker.worker, "worker", "worker --db sqlite:///orders.db", _ORDERS)
    app.add_typer(_outbox_group(), rich_help_panel=_ORDERS)
    app.add_typer(_order_group(), rich_help_panel=_ORDERS)
    _add(app, status.status, "status", "status", _SUPPORT)
    app.add_typer(_orders_group(), rich_help_panel=_SUPPORT)
    _add(app, diagnose.diagnose_, "diagnose", "diagnose B42", _SUPPORT)
    _add(app, connections.connect, "connect", "connect square --name cafe-42", _STORES)
    _add(app, connections.reconnect, "reconnect", "reconnect cafe-42", _STORES)
    _add(app, connections.connections, "connections", "connections", _STORES)
    _add(app, connections.disconnect, "disconnect", "disconnect cafe-42", _STORES)
    _add(app, check.check, "check", "check --connection cafe-42", _STORES)
    _add(app, test_order.send_test_order, "test-order", "test-order --connection cafe-42", _STORES)
    app.add_typer(_menu_group(), rich_help_panel=_STORES)
    app.add_typer(_key_group(), rich_help_panel=_STORES)
    _add(app, demo.demo, "demo", "demo", _DEVELOPMENT)
    simulation = "simulate PLATFORM --port 8080 --faults 0.25 --seed 7"
    _add(app, simulate.simulate, "simulate", simulation, _DEVELOPMENT)
    _add(app, check.adapters, "adapters", "adapters", _DEVELOPMENT)
    _add(app, check.schema, "schema", "schema order", _DEVELOPMENT)
    _add_plugins(app)
    return app


def _menu_group() -> typer.Typer:
    group = typer.Typer(name="menu", help="Import, check and compare menus.")
    _add(group, menu.import_, "import", "menu import --connection cafe-42 --output menu.json")
    _add(
        group,
        menu.check,
        "check",
        "menu check order.json --connection cafe-42 --menu menu.json",
    )
    _add(group, menu.diff, "diff", "menu diff monday.json tuesday.json")
    _add(group, menu_review.imports, "imports", "menu imports --connection cafe-42")
    _add(group, menu_review.accept, "accept", "menu accept --connection cafe-42")
    _add(group, menu_review.discard, "discard", "menu discard --connection cafe-42")
    return group


def _outbox_group() -> typer.Typer:
    group = typer.Typer(name="outbox", help="Add orders to the outbox, and maintain its database.")
    _add(group, outbox.add, "add", "outbox add order.json --connection cafe-42")
    _add(group, outbox.migrate, "migrate", "outbox migrate --db sqlite:///orders.db")
    _add(group, outbox.erase, "erase", "outbox erase --days 30")
    _add(group, outbox.prune, "prune", "outbox prune --days 90")
    return group


def _order_group() -> typer.Typer:
    group = typer.Typer(name="order", help="Explain an order of a JSON file, without sending it.")
    _add(group, order_check.check, "check", "order check order.json --platform square")
    return group


def _orders_group() -> typer.Typer:
    group = typer.Typer(name="orders", help=_ORDERS_HELP)
    _add(group, orders.list_, "list", "orders list --problem")
    _add(group, orders.show, "show", "orders show B42")
    _add(group, order_actions.accept, "accept", "orders accept B42")
    _add(group, order_actions.advance, "advance", "orders advance B42 --to ready")
    _add(group, order_actions.resubmit, "resubmit", "orders resubmit B42")
    _add(group, order_actions.manual, "manual", "orders manual B42 > docket.txt")
    _add(group, order_actions.cancel, "cancel", "orders cancel B42")
    _add(group, order_actions.export, "export", "orders export B42 > for-support.json")
    return group


def _key_group() -> typer.Typer:
    group = typer.Typer(name="key", help="Manage the key that encrypts tokens in the database.")
    _add(group, keys.new, "new", "key new")
    _add(group, keys.rotate, "rotate", "key rotate")
    return group


def _add(
    group: typer.Typer,
    function: Callable[..., None],
    name: str,
    example: str,
    panel: str | None = None,
) -> None:
    """Add a command to a group.

    Args:
        group: The application or one of its groups.
        function: The command.
        name: The command's name.
        example: Its example in the help, without the program's name.
        panel: The heading under which the help lists it.
    """
    epilog = f"Example: tillpost {example}"
    group.command(name, epilog=epilog, rich_help_panel=panel)(function)


def _root(
    ctx: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Submit paid online orders to restaurants' point-of-sale (POS) platforms.

    Each order arrives once, or ends in an error that says who must act.

    If an order isn't on the register, `tillpost orders list --search NAME` finds it by the
    customer's name, and `tillpost diagnose ORDER` says why and what to do, step by step.
    """
    if version:
        typer.echo(f"tillpost {installed_version('tillpost')}")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
        raise typer.Exit(BAD_INPUT)


def _exit_code_help() -> str:
    rows = [f"- {code}: {meaning}" for code, meaning in CODES.items()]
    return "\n".join(["Exit codes:", "", *rows])


def _add_plugins(app: typer.Typer) -> None:
    """Add the commands that plugins register, unless one of them can't be built."""
    plugged = typer.Typer()
    Hooks("").call("register_commands", {"cli": plugged})
    if not (plugged.registered_commands or plugged.registered_groups):
        return
    try:
        typer.main.get_command(plugged)
    except BaseException as failure:  # a plugin's command may fail in any way
        if is_interruption(failure):
            raise
        kind = type(failure).__name__
        print_error(f"the plugins' commands can't be used: {kind}: {failure}")
        return
    app.registered_commands += plugged.registered_commands
    app.registered_groups += plugged.registered_groups


def _usage_message(error: Exception) -> str:
    """Return Typer's message for wrong usage, and the command whose help says more."""
    format_message = getattr(error, "format_message", error.__str__)
    message = str(format_message())
    context = getattr(error, "ctx", None)
    if context is None:
        return message
    return f"{message.rstrip('.')} (see {context.command_path} --help)"
