"""Directives that write parts of the reference from the code itself, so that no table can go stale.

`{error-classes}` and `{remedies}` show the errors, `{exit-codes}` the command's, `{fields} MODEL` a
pydantic model's fields, `{format} MODEL` a whole JSON format, and `{unconfirmed}` every remark of
the adapters on a claim that no vendor's page confirms. """

from __future__ import annotations

import ast
import inspect
import json
import re
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from itertools import groupby
from pathlib import Path
from pkgutil import resolve_name
from typing import ClassVar, NamedTuple

from docutils import nodes  # type: ignore[import-untyped]
from docutils.statemachine import StringList  # type: ignore[import-untyped]
from pydantic import BaseModel, Field, ValidationError
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from tillpost import errors
from tillpost.cli.exit_codes import CODES, code_for
from tillpost.errors import PosError
from tillpost.errors.remedies import REMEDIES

ROOT = Path(__file__).parents[2]

Rows = Iterable[Sequence[str]]


def public_errors() -> list[type[PosError]]:
    """Return every error class that a caller can catch, as they stand in the module."""
    found = (getattr(errors, name) for name in errors.__all__)
    kinds = [kind for kind in found if isinstance(kind, type) and issubclass(kind, PosError)]
    kinds = [kind for kind in kinds if kind not in (PosError, errors.KeyRetiredError)]
    return sorted(kinds, key=lambda kind: inspect.getsourcelines(kind)[1])


def error_rows() -> Rows:
    """Return a row for each error class: what it says, what is worth trying, the exit code, who acts."""
    for kind in public_errors():
        remedy = REMEDIES[kind.default_remedy]
        again = "yes" if kind.transient else "no"
        parent = kind.__mro__[1].__name__
        name = f"`{kind.__name__}`" + (f" (a `{parent}`)" if parent != "PosError" else "")
        yield name, first_line(kind), again, remedy.actor.value, remedy.action.value, str(code_for(kind()))


def remedy_rows() -> Rows:
    """Return a row for each remedy: its error class and reason, who acts, and both texts."""
    by_default = {kind.default_remedy: kind.__name__ for kind in reversed(public_errors())}
    for key, row in REMEDIES.items():
        kind, _, reason = key.partition(".")
        subject = f"`{by_default[kind]}`" + (f", reason `{reason}`" if reason else "")
        yield subject, row.actor.value, row.manager, row.developer


def field_rows(model: type[BaseModel]) -> Rows:
    """Return a row for each field of a model: its name, type, default, and what the docstring says of it."""
    said = attributes(model)
    required = required_of(model)
    for name, schema in Schema.model_validate(model.model_json_schema()).properties.items():
        default = "required" if name in required else f"`{json.dumps(schema.default)}`"
        yield f"`{name}`", schema.in_words(), default, said.get(name, "")


def required_of(model: type[BaseModel]) -> set[str]:
    """Return the fields that nothing stands in for. A default that the model itself refuses doesn't count."""
    try:
        model.model_validate({})
    except ValidationError as error:
        return {str(fault["loc"][0]) for fault in error.errors()}
    return set()


class Schema(BaseModel):
    """As much of a JSON Schema as pydantic writes for the models shown here."""

    ref: str = Field("", alias="$ref")
    any_of: list[Schema] = Field([], alias="anyOf")
    one_of: list[Schema] = Field([], alias="oneOf")
    const: str | None = None
    enum: list[str] = []
    type: str = ""
    items: Schema | None = None
    format: str = ""
    default: object = None
    properties: dict[str, Schema] = {}

    def in_words(self) -> str:
        """Say in a few words what JSON fits."""
        if self.ref:
            name = self.ref.rpartition("/")[2]
            return f"[{name}](#{name.lower()})"
        if choices := self.any_of or self.one_of:
            return " or ".join(dict.fromkeys(choice.in_words() for choice in choices))
        if values := self.enum or ([self.const] if self.const else []):
            return " or ".join(f"`{json.dumps(value)}`" for value in values)
        if self.type == "array":
            return f"list of {self.items.in_words()}" if self.items else "list"
        return _TYPES.get((self.type, self.format)) or _TYPES[self.type, ""]


_TYPES = {
    ("string", ""): "text",
    ("object", ""): "table of names and values",
    ("string", "date-time"): "time with offset",
    ("string", "password"): "secret text",
    ("integer", ""): "whole number",
    ("number", ""): "number",
    ("boolean", ""): "true or false",
    ("null", ""): "null",
}


def attributes(model: type) -> dict[str, str]:
    """Return what the "Attributes:" section of a docstring says, by name; two names may share a line."""
    section = inspect.cleandoc(model.__doc__ or "").partition("Attributes:\n")[2]
    found: dict[str, str] = {}
    for names, text in re.findall(r"^    ([a-z_, ]+): (.*(?:\n     .*)*)", section, re.MULTILINE):
        for name in names.split(", "):
            found[name] = " ".join(text.split())
    return found


def first_line(thing: object) -> str:
    """Return the first paragraph of a docstring as one line."""
    return " ".join(inspect.cleandoc(thing.__doc__ or "").partition("\n\n")[0].split())


class Remark(NamedTuple):
    """A claim about a platform that no vendor's page confirms: where it stands, and what it says."""

    file: str
    line: int
    within: str
    text: str


def remarks(root: Path = ROOT) -> list[Remark]:
    """Return every `unconfirmed:` remark of the adapters and their simulators, by file and line."""
    found = [remark for file in sorted((root / "adapters").rglob("*.py")) for remark in _remarks_in(file, root)]
    return sorted(found, key=lambda remark: (remark.file.count("/"), remark.file, remark.line))


def _remarks_in(file: Path, root: Path) -> Iterator[Remark]:
    source = file.read_text(encoding="utf-8")
    names = list(_definitions(ast.parse(source)))
    for line, text in _texts(file):
        within = [name for name, first, last in names if first <= line <= last]
        after = [name for name, first, _ in names if first > line]
        yield Remark(
            file.relative_to(root / "adapters").as_posix(), line, within[-1] if within else (after or [""])[0], text
        )


def _texts(file: Path) -> Iterator[tuple[int, str]]:
    """Yield each remark of a file with its line. It ends with the comment, the paragraph, or at the next remark."""
    comments: list[tuple[int, int, list[str]]] = []
    with file.open("rb") as lines:
        for token in tokenize.tokenize(lines.readline):
            line, column = token.start
            if token.type == tokenize.STRING and token.string.startswith('"""'):
                yield from _split(line, token.string.strip('"'))
            elif token.type == tokenize.COMMENT:
                said = token.string.removeprefix("#").strip()
                if comments and comments[-1][1] == column and comments[-1][0] + len(comments[-1][2]) == line:
                    comments[-1][2].append(said)
                else:
                    comments.append((line, column, [said]))
    for line, _, block in comments:
        yield from _split(line, "\n".join(block))


def _split(line: int, text: str) -> Iterator[tuple[int, str]]:
    for remark in re.finditer(r"unconfirmed: (.*?)(?=(?:# )?unconfirmed: |\n\s*\n|\Z)", text, re.DOTALL):
        yield line + text[: remark.start()].count("\n"), " ".join(remark[1].split())


def _definitions(tree: ast.Module) -> Iterator[tuple[str, int, int]]:
    """Yield the name, first and last line of all that is defined, the outer before the inner."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, node.lineno, node.end_lineno or node.lineno
            case ast.Assign(targets=[ast.Name(id=name)]) if node.col_offset == 0:
                yield name, node.lineno, node.end_lineno or node.lineno
            case _:
                pass


class FromCode(SphinxDirective):
    """A directive that writes Markdown or a table, and lets Sphinx read it."""

    optional_arguments = 1

    def table(self, columns: Sequence[str], widths: Sequence[int], rows: Rows) -> list[nodes.Node]:
        """Return a table whose cells are Markdown."""
        table = nodes.table(classes=["colwidths-given"])
        group = nodes.tgroup(cols=len(columns))
        table += group
        for width in widths:
            group += nodes.colspec(colwidth=width)
        head, body = nodes.thead(), nodes.tbody()
        group += head
        group += body
        head += self._row(columns)
        for row in rows:
            body += self._row(row)
        return [table]

    def _row(self, cells: Sequence[str]) -> nodes.row:
        row = nodes.row()
        for cell in cells:
            entry = nodes.entry()
            entry += self.markdown(cell)
            row += entry
        return row

    def markdown(self, text: str) -> list[nodes.Node]:
        """Return Markdown as nodes."""
        holder = nodes.container()
        self.state.nested_parse(StringList(text.splitlines(), self.get_location()), 0, holder)
        return holder.children  # type: ignore[no-any-return]


class ErrorClasses(FromCode):
    """The error classes."""

    def run(self) -> list[nodes.Node]:
        """Write the table."""
        columns = ("Class", "When", "Worth trying again unchanged", "Who acts", "Action", "Exit code")
        return self.table(columns, (20, 40, 10, 10, 12, 8), error_rows())


class Remedies(FromCode):
    """The texts of all remedies."""

    def run(self) -> list[nodes.Node]:
        """Write the table."""
        columns = ("Error", "Who acts", "For a restaurant manager", "For a developer")
        return self.table(columns, (15, 10, 40, 35), remedy_rows())


class ExitCodes(FromCode):
    """The exit codes of the command."""

    def run(self) -> list[nodes.Node]:
        """Write the table."""
        return self.table(("Code", "Meaning"), (10, 90), ((f"`{code}`", text) for code, text in CODES.items()))


class Fields(FromCode):
    """The fields of a model: `{fields} package.module:Model`."""

    required_arguments = 1
    optional_arguments = 0
    columns: ClassVar[Sequence[str]] = ("Field", "Type", "Default", "Meaning")

    def run(self) -> list[nodes.Node]:
        """Write the table."""
        rows = list(field_rows(resolve_name(self.arguments[0])))
        if any(meaning for *_, meaning in rows):
            return self.table(self.columns, (20, 18, 17, 45), rows)
        return self.table(self.columns[:3], (30, 40, 30), (row[:3] for row in rows))


class Format(FromCode):
    """A JSON format: the model and every model that it refers to, each with its sentence and its fields."""

    required_arguments = 1
    optional_arguments = 0

    def run(self) -> list[nodes.Node]:
        """Write a section for each model."""
        model: type[BaseModel] = resolve_name(self.arguments[0])
        return [self._section(part) for part in parts_of(model)]

    def _section(self, part: type) -> nodes.section:
        section = nodes.section(ids=[part.__name__.lower()], names=[part.__name__.lower()])
        section += nodes.title("", part.__name__)
        self.state.document.note_explicit_target(section)
        self.env.domains.python_domain.note_object(f"{part.__module__}.{part.__name__}", "class", section["ids"][0])
        section += self.markdown(inspect.cleandoc(part.__doc__ or "").partition("Attributes:")[0])
        if issubclass(part, BaseModel):
            section += self.table(Fields.columns[:3], (30, 40, 30), (row[:3] for row in field_rows(part)))
        elif issubclass(part, Enum):
            section += self.markdown("One of " + ", ".join(f"`{json.dumps(one.value)}`" for one in part) + ".")
        return section


def parts_of(model: type[BaseModel]) -> list[type]:
    """Return the model, then every model and enumeration in it, as its JSON Schema names them."""
    module = inspect.getmodule(model)
    names = re.findall(r'"#/\$defs/(\w+)"', json.dumps(model.model_json_schema()))
    return [model, *(getattr(module, name) for name in dict.fromkeys(names) if name != model.__name__)]


class Unconfirmed(FromCode):
    """Every remark about a platform that nobody has confirmed, by file."""

    def run(self) -> list[nodes.Node]:
        """Write a section for each file."""
        written: list[nodes.Node] = []
        for file, within in groupby(remarks(), key=lambda remark: remark.file):
            self.env.note_dependency(str(ROOT / "adapters" / file))
            section = nodes.section(ids=[nodes.make_id(file)], names=[file])
            section += nodes.title("", file)
            rows = ((f"`{remark.within or 'module'}`", remark.text) for remark in within)
            section += self.table(("In", "What isn't confirmed, and what would tell"), (20, 80), rows)
            written.append(section)
        return written


def share_out(_app: Sphinx, _what: str, _name: str, _object: object, _options: object, lines: list[str]) -> None:
    """Give each of several attributes that share a line of a docstring ("platform, title: ...") a line of its own."""
    for place in reversed(range(len(lines))):
        if shared := re.fullmatch(r"( +)(\w+(?:, \w+)+): (.*)", lines[place]):
            end = place + 1
            while end < len(lines) and lines[end].startswith(shared[1] + " "):
                end += 1
            more = lines[place + 1 : end]
            lines[place:end] = [
                line for name in shared[2].split(", ") for line in (f"{shared[1]}{name}: {shared[3]}", *more)
            ]


def setup(app: Sphinx) -> dict[str, object]:
    """Tell Sphinx of the directives."""
    app.add_directive("error-classes", ErrorClasses)
    app.add_directive("remedies", Remedies)
    app.add_directive("exit-codes", ExitCodes)
    app.add_directive("fields", Fields)
    app.add_directive("format", Format)
    app.add_directive("unconfirmed", Unconfirmed)
    app.connect("autodoc-process-docstring", share_out, priority=400)  # before napoleon reads the sections
    return {"version": "1", "parallel_read_safe": True}
