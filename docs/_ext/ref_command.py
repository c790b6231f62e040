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
    rows: list[tuple[str, str]] = []
    parts: list[str] = []
    for name, command in _walk(root, "tillpost"):
        link = f"[`{name}`](#{_anchor(name)})"
        rows.append((link, _summary(command)))
        parts.append(_section(name, command))
    table = md.table(("Command", "What it does"), rows)
    return md.sections(table, *parts)


def _walk(group: Any, name: str) -> Iterator[tuple[str, Any]]:
    for word, command in sorted(group.commands.items()):
        full_name = f"{name} {word}"
        if command.hidden:
            continue
        if hasattr(command, "commands"):
            yield from _walk(command, full_name)
        else:
            yield full_name, command


def _anchor(name: str) -> str:
    return name.replace(" ", "-")


def _help(command: Any) -> str:
    text = inspect.cleandoc(command.help or "")
    shown, _, _ = text.replace("\b\n", "").partition("\f")
    return shown.strip()


def _summary(command: Any) -> str:
    return md.summary(_help(command))


def _section(name: str, command: Any) -> str:
    arguments = _parameters(command, "argument")
    options = _parameters(command, "option")
    usage = [name]
    if options:
        usage.append("[OPTIONS]")
    usage += [_argument(one) for one in arguments]
    shown = [one for one in (*arguments, *options) if not one.hidden]
    definitions = [_definition(one) for one in shown]
    parts = [
        f"### {name}",
        md.fenced("text", " ".join(usage)),
        _help(command),
    ]
    if definitions:
        parts.append(md.definition_list(definitions))
    return md.sections(*parts)


def _parameters(command: Any, kind: str) -> list[Any]:
    return [one for one in command.params if one.param_type_name == kind]


def _metavar(parameter: Any) -> str:
    metavar: str = parameter.metavar or parameter.name.upper()
    return metavar


def _argument(argument: Any) -> str:
    metavar = _metavar(argument).strip("[]")
    return metavar if argument.required else f"[{metavar}]"


def _definition(parameter: Any) -> md.Definition:
    if parameter.param_type_name == "argument":
        term = f"`{_argument(parameter)}`"
    else:
        names = (*parameter.opts, *parameter.secondary_opts)
        term = ", ".join(f"`{name}`" for name in names)
        takes_value = not parameter.is_flag and not parameter.count
        if takes_value:
            term += f" `{_metavar(parameter)}`"
    if parameter.required:
        term += ", required"
    default = _default(parameter)
    if default:
        term += f", {default}"
    words = (parameter.help or "").split()
    return md.Definition(term, [" ".join(words)])


def _default(parameter: Any) -> str:
    default = parameter.default
    if default is None or isinstance(default, bool):
        return ""
    if callable(default):
        return ""
    if default in ("", [], ()):
        return ""
    value = getattr(default, "value", default)
    return f"default `{value}`"
