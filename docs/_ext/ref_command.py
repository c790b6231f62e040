"""The `tillpost` command: every command with its help, arguments and options."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import ref_markdown as md
import typer

from tillpost.cli.app import build


def commands() -> str:
    """Return a table of all commands, then a section for each."""
    root: Any = typer.main.get_command(build())
    found = list(_walk(root, "tillpost"))
    rows = [
        (f"[`{name}`](#{_anchor(name)})", _summary(command)) for name, command in found
    ]
    parts = [_section(name, command) for name, command in found]
    return md.sections(md.table(("Command", "What it does"), rows), *parts)


def _walk(group: Any, name: str) -> Iterator[tuple[str, Any]]:
    for word, command in sorted(group.commands.items()):
        if command.hidden:
            continue
        if hasattr(command, "commands"):
            yield from _walk(command, f"{name} {word}")
        else:
            yield f"{name} {word}", command


def _anchor(name: str) -> str:
    return name.replace(" ", "-")


def _help(command: Any) -> str:
    text = inspect.cleandoc(command.help or "").replace("\b\n", "")
    return text.partition("\f")[0].strip()


def _summary(command: Any) -> str:
    return md.summary(_help(command))


def _section(name: str, command: Any) -> str:
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option"]
    usage = [
        name,
        "[OPTIONS]" if options else "",
        *(_argument(one) for one in arguments),
    ]
    definitions = [_definition(one) for one in (*arguments, *options) if not one.hidden]
    return md.sections(
        f"### {name}",
        md.fenced("text", " ".join(word for word in usage if word)),
        _help(command),
        md.definition_list(definitions) if definitions else "",
    )


def _argument(argument: Any) -> str:
    metavar = (argument.metavar or argument.name.upper()).strip("[]")
    return metavar if argument.required else f"[{metavar}]"


def _definition(parameter: Any) -> md.Definition:
    if parameter.param_type_name == "argument":
        term = f"`{_argument(parameter)}`"
    else:
        term = ", ".join(
            f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts)
        )
        if not parameter.is_flag and not parameter.count:
            term += f" `{parameter.metavar or parameter.name.upper()}`"
    facts = [fact for fact in (_required(parameter), _default(parameter)) if fact]
    text = " ".join((parameter.help or "").split())
    return md.Definition(", ".join([term, *facts]), [text])


def _required(parameter: Any) -> str:
    return "required" if parameter.required else ""


def _default(parameter: Any) -> str:
    default = parameter.default
    if default is None or isinstance(default, bool) or callable(default):
        return ""
    if default in ("", [], ()):
        return ""
    return f"default `{getattr(default, 'value', default)}`"
