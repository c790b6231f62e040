"""Settings and JSON formats, read from their pydantic models."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

import ref_markdown as md
from pydantic import BaseModel, Field, ValidationError


class FieldFacts(NamedTuple):
    """What a reader needs to know of a field. `kind` and `meaning` are inline Markdown."""

    name: str
    kind: str
    default: str | None
    meaning: str

    @property
    def need(self) -> str:
        """Whether the field is required, or its default, if that says anything."""
        if self.default is None:
            return "required"
        if self.default in ("null", '""', "{}"):
            return "optional"
        return f"default `{self.default}`"


class Schema(BaseModel):
    """The part of JSON Schema that pydantic writes for the models shown here."""

    ref: str = Field("", alias="$ref")
    any_of: list[Schema] = Field([], alias="anyOf")
    one_of: list[Schema] = Field([], alias="oneOf")
    const: str | None = None
    enum: list[str] = []
    type: str = ""
    items: Schema | None = None
    format: str = ""
    description: str = ""
    default: object = None
    properties: dict[str, Schema] = {}

    def in_words(self) -> str:
        """Return a few words for the JSON that fits."""
        if self.ref:
            name = self.ref.rpartition("/")[2]
            return f"[{name}](#{name.lower()})"
        if choices := self.any_of or self.one_of:
            return " or ".join(dict.fromkeys(choice.in_words() for choice in choices))
        if values := self.enum or ([self.const] if self.const else []):
            return " or ".join(f"`{json.dumps(value)}`" for value in values)
        if self.type == "array":
            return (
                f"list of {self.items.in_words()}s".replace(")s", ")")
                if self.items
                else "list"
            )
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


def fields(model: type[BaseModel]) -> Iterator[FieldFacts]:
    """Yield the fields of a model, with the meaning that a description or a docstring gives."""
    documented: dict[str, str] = {}
    for base in reversed(model.__mro__):
        documented.update(md.attributes(base.__dict__.get("__doc__") or ""))
    required = required_fields(model)
    schema = Schema.model_validate(_own_schema(model))
    for name, field in schema.properties.items():
        default = None if name in required else json.dumps(field.default)
        meaning = model.model_fields[name].description or documented.get(name, "")
        yield FieldFacts(name, field.in_words(), default, " ".join(meaning.split()))


def _own_schema(model: type[BaseModel]) -> object:
    """Return a model's JSON Schema. That of a model with parts of its own kind is a reference."""
    schema = model.model_json_schema()
    if "$ref" in schema:
        return schema["$defs"][model.__name__]
    return schema


def required_fields(model: type[BaseModel]) -> set[str]:
    """Return the fields without a default. A default that the model refuses doesn't count."""
    try:
        model.model_validate({})
    except ValidationError as error:
        return {str(fault["loc"][0]) for fault in error.errors()}
    return set()


def settings(model: type[BaseModel]) -> str:
    """Return a model's fields as a definition list."""
    entries: list[md.Definition] = []
    for field in fields(model):
        kind = field.kind.removesuffix(" or null")
        term = f"`{field.name}`: {kind}, {field.need}"
        anchor = f"{model.__name__.lower()}-{field.name}"
        entries.append(md.Definition(term, [field.meaning], anchor))
    return md.definition_list(entries)


def fields_table(model: type[BaseModel]) -> str:
    """Return a model's fields as a table, with their meanings if there are any."""
    facts = list(fields(model))
    rows = [
        (f"`{fact.name}`", fact.kind, fact.need.removeprefix("default "))
        for fact in facts
    ]
    if not any(fact.meaning for fact in facts):
        return md.table(("Field", "Type", "Default"), rows)
    with_meaning = [(*row, fact.meaning) for row, fact in zip(rows, facts, strict=True)]
    return md.table(("Field", "Type", "Default", "Meaning"), with_meaning)


def json_format(model: type[BaseModel]) -> str:
    """Return a section for the model and for every model and enumeration that it refers to."""
    return md.sections(*(_format_part(part) for part in parts_of(model)))


def _format_part(part: type) -> str:
    heading = f"## {part.__name__}"
    text = md.prose(part.__doc__ or "")
    if issubclass(part, BaseModel):
        return md.sections(heading, text, fields_table(part))
    if issubclass(part, Enum):
        values = ", ".join(f"`{json.dumps(member.value)}`" for member in part)
        return md.sections(heading, text, f"One of {values}.")
    return md.sections(heading, text)


def parts_of(model: type[BaseModel]) -> list[type]:
    """Return the model, then every model and enumeration that its JSON Schema names."""
    module = inspect.getmodule(model)
    names = re.findall(r'"#/\$defs/(\w+)"', json.dumps(model.model_json_schema()))
    others = [name for name in dict.fromkeys(names) if name != model.__name__]
    return [model, *(getattr(module, name) for name in others)]
