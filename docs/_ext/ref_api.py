"""The public API: every public name with its signature and summary, read from the source.

Signatures are taken from the source text, not from the running objects, so the page is the same
under every Python and every version of pydantic.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator, Sequence
from enum import Enum
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import ref_markdown as md

from tillpost.plugins import hookspecs

WIDTH = 88
ROOT = Path(__file__).parents[2]
RECORD = ROOT / "docs" / "reference" / "public-api.txt"

MODULES = (
    "tillpost",
    "tillpost.outbox",
    "tillpost.adapter",
    "tillpost.testing",
    "tillpost.simulator",
    "tillpost.authorization",
    "tillpost.config",
    "tillpost_django",
)

SUBMODULES = {
    "tillpost.adapter.oauth": (
        "Tokens",
        "authorisation_page",
        "exchange_code",
        "refresh",
        "signed_form",
        "token_fields",
    ),
    "tillpost.adapter.webhooks": (
        "LARGEST",
        "OrderRefused",
        "SeenEvents",
        "WebhookFault",
    ),
    "tillpost.errors": ("ErrorRecord",),
    "tillpost.menus.diff": ("Change", "MenuChanges"),
    "tillpost.menus.lint": ("setup_faults",),
    "tillpost.menus.validation": ("check_order",),
    "tillpost.models.availability": ("Availability", "Reason"),
    "tillpost.models.money": ("exponent",),
    "tillpost.models.outage": ("Outage", "Sample", "Whose"),
    "tillpost.outbox.connections.credentials": ("Grant",),
    "tillpost.outbox.connections.encryption": ("new_key",),
    "tillpost.outbox.operations.connections": ("ConnectionState", "Connections"),
    "tillpost.outbox.operations.diagnosis": ("diagnose_order", "gather_facts"),
    "tillpost.outbox.operations.orders": ("ActError", "OrderOperations"),
    "tillpost.outbox.webhooks.asgi": ("webhooks_app",),
    "tillpost.outbox.webhooks.receiver": ("Receiver",),
    "tillpost.submission.menu_import": ("MenuImport",),
    "tillpost.support.diagnosis": (
        "Diagnosis",
        "Hop",
        "HopState",
        "HopStatus",
        "three_hops",
    ),
    "tillpost.support.runbook": ("Step",),
    "tillpost.testing.adversary": ("BEHAVIOURS", "hostile_server"),
    "tillpost.testing.world": ("Delivery", "Impossible", "Trouble", "World"),
}
"""Submodules of which only these names are public."""

ALL_MODULES = (*MODULES, *SUBMODULES)

LAZY = {"tillpost": ("Outbox",)}
"""Public names that a module loads on first use, so that they aren't in its `__all__`."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Member(NamedTuple):
    """A field, method or property of a class: its name, its stub's lines, and its signature."""

    name: str
    stub: tuple[str, ...]
    signature: str


class Entry(NamedTuple):
    """A public name: the module it is imported from, its stub, its summary, and its members."""

    module: str
    name: str
    stub: str
    signature: str
    summary: str
    members: tuple[Member, ...] = ()


def public_names(module: str) -> list[str]:
    """Return the public names of a module, in alphabetical order."""
    if module in SUBMODULES:
        return list(SUBMODULES[module])
    names = {*importlib.import_module(module).__all__, *LAZY.get(module, ())}
    return sorted(names, key=str.casefold)


@cache
def entries() -> tuple[Entry, ...]:
    """Return every public name, once for each module that it is imported from, then the hooks.

    The source is read once; it takes seconds.
    """
    found = [
        _entry(module, name) for module in ALL_MODULES for name in public_names(module)
    ]
    return (*found, *_hook_entries())


def hooks() -> list[tuple[str, object]]:
    """Return every hook specification by name, in the order of the source."""
    return [
        (name, spec)
        for name, spec in vars(hookspecs).items()
        if hasattr(spec, "tillpost_spec")
    ]


def hook_sections() -> str:
    """Return a section for each hook."""
    parts: list[str] = []
    for name, spec in hooks():
        node = _function_node(spec)
        stub = "\n".join(_signature_lines(node))
        parts += [f"## {name}", md.fenced("python", stub), md.docstring(spec)]
    return md.sections(*parts)


def public_api() -> str:
    """Return the sections of the page: a heading for each module, then its names."""
    parts: list[str] = []
    shown: dict[int, str] = {}
    for module in ALL_MODULES:
        parts += [
            f"## {module}",
            md.summary(importlib.import_module(module).__doc__ or ""),
        ]
        repeated: list[str] = []
        for name in public_names(module):
            thing = getattr(importlib.import_module(module), name)
            if isinstance(thing, type) and id(thing) in shown:
                repeated.append(name)
                continue
            shown.setdefault(id(thing), module)
            entry = _entry(module, name)
            parts += [f"### {name}", entry.summary, md.fenced("python", entry.stub)]
        if repeated:
            names = ", ".join(f"`{name}`" for name in repeated)
            parts.append(
                f"Also importable from `{module}`, and described above: {names}."
            )
    names = ", ".join(
        f"[`{name}`](hooks.md#{name.replace('_', '-')})" for name, _ in hooks()
    )
    parts += [
        "## Hooks",
        f"Their arguments are on [a page of their own](hooks.md): {names}.",
    ]
    return md.sections(*parts)


def module_names(module: ModuleType) -> str:
    """Return a section for each public name of one module, in the order of the source."""
    parts: list[str] = []
    things = [(name, getattr(module, name)) for name in module.__all__]
    own = [(name, thing) for name, thing in things if isinstance(thing, type)]
    for name, thing in sorted(own, key=lambda pair: inspect.getsourcelines(pair[1])[1]):
        entry = _class_entry(module.__name__, name, thing)
        parts += [
            f"## {name}",
            md.prose(thing.__doc__ or ""),
            md.fenced("python", entry.stub),
        ]
    return md.sections(*parts)


def signatures() -> dict[str, str]:
    """Return the signature of every public name and member, by its dotted name."""
    found: dict[str, str] = {}
    for entry in entries():
        name = f"{entry.module}.{entry.name}"
        found[name] = entry.signature
        for member in entry.members:
            found[f"{name}.{member.name}"] = member.signature
    return found


def record() -> str:
    """Return the public API as it is recorded at a release: a line for each name."""
    return "".join(f"{name}: {signature}\n" for name, signature in signatures().items())


def changes(recorded: str) -> list[str]:
    """Return the dotted names that are new, gone or different since a record was written."""
    before: dict[str, str] = {}
    for line in recorded.splitlines():
        name, _, signature = line.partition(": ")
        before[name] = signature
    now = signatures()
    names = sorted({*before, *now})
    return [name for name in names if before.get(name) != now.get(name)]


def unnamed(changed: Sequence[str], recorded: str, changelog: str) -> list[str]:
    """Return the changed names that the changelog's section Unreleased doesn't name.

    A member of a class that is itself new or gone needs no line of its own.
    """
    before = {line.partition(": ")[0] for line in recorded.splitlines()}
    now = set(signatures())
    unreleased = changelog.partition("## [Unreleased]")[2].partition("\n## [")[0]
    words = set(_code_words(unreleased))
    missing: list[str] = []
    for name in changed:
        owner = name.rpartition(".")[0]
        owner_is_new_or_gone = owner not in ALL_MODULES and (owner in before) != (
            owner in now
        )
        if not owner_is_new_or_gone and not _is_named(name, words):
            missing.append(name)
    return missing


def _code_words(text: str) -> Iterator[str]:
    for part in text.split("`")[1::2]:
        yield from part.replace("(", " ").split()


def _is_named(name: str, words: set[str]) -> bool:
    """Whether the last part of a dotted name, or more of it, is in the changelog as code."""
    parts = name.split(".")
    return any(".".join(parts[start:]) in words for start in range(len(parts)))


# Entries


def _entry(module: str, name: str) -> Entry:
    thing = getattr(importlib.import_module(module), name)
    if isinstance(thing, ModuleType):
        stub = f"from {module} import {name}"
        return Entry(module, name, stub, "module", md.summary(thing.__doc__ or ""))
    if isinstance(thing, type) and thing.__module__.startswith("tillpost"):
        return _class_entry(module, name, thing)
    if inspect.isfunction(thing):
        node = _function_node(thing)
        lines = _signature_lines(node)
        return Entry(
            module,
            name,
            "\n".join(lines),
            _flat(lines),
            md.summary(thing.__doc__ or ""),
        )
    return _assigned_entry(module, name)


def _hook_entries() -> Iterator[Entry]:
    for name, spec in hooks():
        lines = _signature_lines(_function_node(spec))
        yield Entry(
            "hooks",
            name,
            "\n".join(lines),
            _flat(lines),
            md.summary(spec.__doc__ or ""),
        )


def _class_entry(module: str, name: str, kind: type) -> Entry:
    node = _class_node(kind)
    bases = ", ".join(_unparsed(base) for base in node.bases)
    head = f"class {name}({bases}):" if bases else f"class {name}:"
    members = tuple(_members(kind))
    stub = "\n".join([head, *_body(members)]) if members else f"{head} ..."
    return Entry(module, name, stub, head[:-1], md.summary(kind.__doc__ or ""), members)


def _body(members: Sequence[Member]) -> Iterator[str]:
    """Yield the lines of a class's stub: fields first, then methods, blank lines between them."""
    fields = [member for member in members if len(member.stub) == 1]
    methods = [member for member in members if len(member.stub) > 1]
    groups = [[member.stub[0] for member in fields]] if fields else []
    groups += [[line for line in member.stub if line] for member in methods]
    for place, group in enumerate(groups):
        if place:
            yield ""
        yield from textwrap.indent("\n".join(group), "    ").splitlines()


def _members(kind: type) -> Iterator[Member]:
    """Yield the public members of a class and of its bases that aren't public themselves."""
    found: dict[str, Member] = {}
    for base in reversed(kind.__mro__):
        if not base.__module__.startswith("tillpost"):
            continue
        if base is not kind and _is_public(base):
            continue
        found.update({member.name: member for member in _own_members(base)})
    yield from found.values()


def _is_public(kind: type) -> bool:
    return any(
        kind.__name__ in public_names(module)
        and getattr(importlib.import_module(module), kind.__name__) is kind
        for module in ALL_MODULES
    )


def _own_members(kind: type) -> Iterator[Member]:
    node = _class_node(kind)
    overloads: dict[str, list[Function]] = {}
    for child in node.body:
        match child:
            case ast.AnnAssign(target=ast.Name(id=name)) if _shown(name):
                yield _field(name, child)
            case ast.Assign(targets=[ast.Name(id=name)]) if _shown(name):
                if issubclass(kind, Enum):
                    line = f"{name} = {_member_value(child)}"
                    yield Member(name, (line,), line)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if _shown(
                name
            ):
                if _is_setter(child):
                    continue
                if _is_overload(child):
                    overloads.setdefault(name, []).append(child)
                else:
                    yield _method(child, overloads.get(name, [child]))
            case _:
                pass


def _member_value(node: ast.Assign) -> str:
    """Return the value of an enum's member, which is the first of what it is made of."""
    made_of = node.value
    return _unparsed(made_of.elts[0] if isinstance(made_of, ast.Tuple) else made_of)


def _shown(name: str) -> bool:
    return name == "__init__" or (not name.startswith("_") and name != "model_config")


def _is_overload(node: Function) -> bool:
    return any(_unparsed(one).endswith("overload") for one in node.decorator_list)


def _is_setter(node: Function) -> bool:
    return any(_unparsed(one).endswith(".setter") for one in node.decorator_list)


def _field(name: str, node: ast.AnnAssign) -> Member:
    kind = _unparsed(node.annotation)
    line = f"{name}: {kind}"
    if node.value is not None:
        default = _unparsed(node.value)
        line += f" = {default}" if len(line) + len(default) < WIDTH - 8 else " = ..."
    return Member(name, (line,), line)


_KEPT_DECORATORS = (
    "property",
    "cached_property",
    "classmethod",
    "staticmethod",
    "overload",
)


def _method(node: Function, signatures: Sequence[Function]) -> Member:
    """Describe a method by its own text, and by its overloads' signatures if it has some."""
    stub: list[str] = []
    flat: list[str] = []
    for signature in signatures:
        decorators = [
            _unparsed(one).rpartition(".")[2] for one in signature.decorator_list
        ]
        kept = [f"@{one}" for one in decorators if one in _KEPT_DECORATORS]
        lines = _signature_lines(signature, indent=4)
        flat.append(" ".join([*kept, _flat(lines)]))
        stub += [*kept, *lines[:-1], f"{lines[-1]}: ..."]
    text = md.summary(ast.get_docstring(node) or "")
    if text:
        stub[-1] = stub[-1].removesuffix(" ...")
        body = textwrap.wrap(f'"""{text}"""', WIDTH - 8)
        stub += [f"    {line}" for line in body]
    return Member(node.name, (*stub, ""), " ".join(flat))


def _assigned_entry(module: str, name: str) -> Entry:
    """Describe a constant or a type alias by its assignment and the text below that."""
    found = _assignment(module, name)
    if found is None:
        return Entry(module, name, name, name, "")
    node, text = found
    stub = _unparsed(node)
    if len(stub) > WIDTH:
        stub = f"{name} = ..."
    return Entry(module, name, stub, _unparsed(node), md.summary(text))


# Reading the source


def _unparsed(node: ast.AST) -> str:
    """Return the source of a node, with double quotes as in the code."""
    return re.sub(r"'([^'\"\\]*)'", r'"\1"', ast.unparse(node))


def _assignment(
    module: str, name: str
) -> tuple[ast.Assign | ast.AnnAssign, str] | None:
    """Return the assignment of a name, followed through imports, and its text if it has one."""
    source = inspect.getsource(importlib.import_module(module))
    body = ast.parse(source).body
    for node, after in zip(body, [*body[1:], ast.Pass()], strict=True):
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=target)])
                | ast.AnnAssign(target=ast.Name(id=target))
            ) if target == name:
                return node, _string(after)
            case ast.ImportFrom(module=str(origin), names=names):
                if name in [alias.asname or alias.name for alias in names]:
                    return _assignment(origin, name)
            case _:
                pass
    return None


def _string(node: ast.stmt) -> str:
    match node:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return text
        case _:
            return ""


def _class_node(kind: type) -> ast.ClassDef:
    node = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(node, ast.ClassDef)
    return node


def _function_node(function: object) -> Function:
    source = inspect.getsource(inspect.unwrap(function))  # type: ignore[arg-type]
    node = ast.parse(textwrap.dedent(source)).body[0]
    assert isinstance(node, Function)
    return node


def _signature_lines(node: Function, indent: int = 0) -> list[str]:
    """Return `def name(...) -> kind` on one line if it fits, else with a line for each argument."""
    word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    returns = f" -> {_unparsed(node.returns)}" if node.returns else ""
    arguments = list(_arguments(node.args))
    line = f"{word} {node.name}({', '.join(arguments)}){returns}"
    if len(line) + indent <= WIDTH - len(": ..."):
        return [line]
    shown = [line for one in arguments for line in _argument_lines(f"{one},", indent)]
    return [f"{word} {node.name}(", *shown, f"){returns}"]


def _argument_lines(argument: str, indent: int) -> list[str]:
    """Return an argument on a line of its own, on several if its type is too long for one."""
    line = f"    {argument}"
    if len(line) + indent <= WIDTH:
        return [line]
    first, *others = line.split(" | ")
    return [first, *(f"    | {other}" for other in others)]


def _arguments(arguments: ast.arguments) -> Iterator[str]:
    positional = [*arguments.posonlyargs, *arguments.args]
    missing = [None] * (len(positional) - len(arguments.defaults))
    defaults = [*missing, *arguments.defaults]
    for place, (argument, default) in enumerate(zip(positional, defaults, strict=True)):
        yield _argument(argument, default)
        if place + 1 == len(arguments.posonlyargs):
            yield "/"
    if arguments.vararg:
        yield f"*{_argument(arguments.vararg, None)}"
    elif arguments.kwonlyargs:
        yield "*"
    for argument, default in zip(
        arguments.kwonlyargs, arguments.kw_defaults, strict=True
    ):
        yield _argument(argument, default)
    if arguments.kwarg:
        yield f"**{_argument(arguments.kwarg, None)}"


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    kind = f": {_unparsed(argument.annotation)}" if argument.annotation else ""
    if default is None:
        return f"{argument.arg}{kind}"
    equals = " = " if kind else "="
    return f"{argument.arg}{kind}{equals}{_unparsed(default)}"


def _flat(lines: Sequence[str]) -> str:
    """Return the lines of a signature as one."""
    return (
        " ".join(line.strip() for line in lines).replace("( ", "(").replace(", )", ")")
    )
