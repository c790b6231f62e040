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

from tillpost.models.field_texts import field_texts


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
    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: float | None = Field(None, alias="exclusiveMinimum")
    min_length: int | None = Field(None, alias="minLength")
    max_length: int | None = Field(None, alias="maxLength")
    min_items: int | None = Field(None, alias="minItems")
    max_items: int | None = Field(None, alias="maxItems")
    max_properties: int | None = Field(None, alias="maxProperties")
    property_names: Schema | None = Field(None, alias="propertyNames")
    additional_properties: Schema | bool | None = Field(
        None, alias="additionalProperties"
    )

    def in_words(self) -> str:
        """Return a few words for the JSON that fits."""
        if self.ref:
            name = self.ref.rpartition("/")[2]
            return f"[{name}](#{name.lower()})"
        if choices := self.any_of or self.one_of:
            kinds = [choice.in_words() for choice in choices]
            return " or ".join(dict.fromkeys(kinds))
        values = list(self.enum)
        if self.const:
            values.append(self.const)
        if values:
            literals = [f"`{json.dumps(value)}`" for value in values]
            return " or ".join(literals)
        limits = "; ".join(self._limits())
        return f"{self._kind()} ({limits})" if limits else self._kind()

    def _kind(self) -> str:
        if self.type != "array":
            return _TYPES.get((self.type, self.format)) or _TYPES[self.type, ""]
        if self.items is None:
            return "list"
        member = self.items._kind() if self.items.type else self.items.in_words()
        return f"list of {member}s".replace(")s", ")").replace("texts", "text")

    def _limits(self) -> Iterator[str]:
        """Yield what a value must be beside its kind."""
        yield from _range(self.minimum, self.maximum)
        if self.exclusive_minimum is not None:
            yield f"more than {_number(self.exclusive_minimum)}"
        if (self.min_length, self.max_length) == (1, None):
            yield "not empty"
        else:
            yield from _range(self.min_length, self.max_length, " characters")
        yield from _range(self.min_items, self.max_items)
        if self.items and self.items.type:
            yield from (f"each {limit}" for limit in self.items._limits())
        yield from _range(None, self.max_properties)
        if self.property_names:
            yield from (f"a name {limit}" for limit in self.property_names._limits())
        if isinstance(self.additional_properties, Schema):
            yield from (
                f"a value {limit}" for limit in self.additional_properties._limits()
            )


def _range(least: float | None, most: float | None, unit: str = "") -> Iterator[str]:
    """Yield limits in words: "1 to 9999"; nothing without any."""
    if least is not None and most is not None:
        yield f"{_number(least)} to {_number(most)}{unit}"
    elif least is not None:
        yield f"at least {_number(least)}{unit}"
    elif most is not None:
        yield f"at most {_number(most)}{unit}"


def _number(value: float) -> str:
    """Return a number as people write it.

    >>> _number(9999.0), _number(-(10**12)), _number(0.5)
    ('9999', '-10^12', '0.5')
    """
    if abs(value) == 10**12:
        return "-10^12" if value < 0 else "10^12"
    return str(int(value)) if value == int(value) else str(value)


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
        docstring = base.__dict__.get("__doc__") or ""
        documented.update(md.attributes(docstring))
    texts = field_texts(model)
    required = required_fields(model)
    schema = Schema.model_validate(_own_schema(model))
    for name, field in schema.properties.items():
        default = None if name in required else json.dumps(field.default)
        description = model.model_fields[name].description or texts.get(name)
        meaning = description or documented.get(name, "")
        yield FieldFacts(
            name=name,
            kind=field.in_words(),
            default=default,
            meaning=" ".join(meaning.split()),
        )


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
        places = [fault["loc"] for fault in error.errors()]
        return {str(place[0]) for place in places}
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
    heads = ["Field", "Type", "Default"]
    has_meanings = any(fact.meaning for fact in facts)
    if has_meanings:
        heads.append("Meaning")
    rows: list[list[str]] = []
    for fact in facts:
        need = fact.need.removeprefix("default ")
        row = [f"`{fact.name}`", fact.kind, need]
        if has_meanings:
            row.append(fact.meaning)
        rows.append(row)
    return md.table(heads, rows)


def json_format(model: type[BaseModel]) -> str:
    """Return a section for the model and for every model and enumeration that it refers to."""
    parts = [_format_part(part) for part in parts_of(model)]
    return md.sections(*parts)


def _format_part(part: type) -> str:
    heading = f"## {part.__name__}"
    text = md.prose(part.__doc__ or "")
    if issubclass(part, BaseModel):
        return md.sections(heading, text, fields_table(part))
    if issubclass(part, Enum):
        values = [f"`{json.dumps(member.value)}`" for member in part]
        return md.sections(heading, text, f"One of {', '.join(values)}.")
    return md.sections(heading, text)


def parts_of(model: type[BaseModel]) -> list[type]:
    """Return the model, then every model and enumeration that its JSON Schema names."""
    module = inspect.getmodule(model)
    schema = json.dumps(model.model_json_schema())
    names = dict.fromkeys(re.findall(r'"#/\$defs/(\w+)"', schema))
    names.pop(model.__name__, None)
    others = [getattr(module, name) for name in names]
    return [model, *others]
