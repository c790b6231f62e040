"""The texts below a model's fields, as descriptions in its JSON Schema.

Pydantic's `use_attribute_docstrings` does the same, but it parses the source of a model as its
class is made, which was an eighth of the time that `import tillpost` takes. Here the source is
parsed when somebody asks for a schema.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from textwrap import dedent
from typing import Any

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic_core import CoreSchema

__all__ = ["WithFieldTexts", "field_texts"]


class WithFieldTexts(BaseModel):
    """A model whose fields are described by the texts below them."""

    model_config = ConfigDict(defer_build=True)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler, /
    ) -> dict[str, Any]:
        """Return the model's JSON Schema, with the texts."""
        described = handler(schema)
        properties = handler.resolve_ref_schema(described).get("properties", {})
        texts = field_texts(cls)
        for name in texts.keys() & properties.keys():
            properties[name].setdefault("description", texts[name])
        return described


@cache
def field_texts(model: type[BaseModel]) -> Mapping[str, str]:
    """Return the texts below a model's fields, its own and those it inherits, by name."""
    texts: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, WithFieldTexts):
            texts |= _own_texts(base)
    return texts


def _own_texts(model: type[BaseModel]) -> dict[str, str]:
    try:
        source = inspect.getsource(model)
    except (OSError, TypeError):  # it was typed into a shell, or made by `exec`
        return {}
    texts: dict[str, str] = {}
    (definition,) = ast.parse(dedent(source)).body
    assert isinstance(definition, ast.ClassDef)
    for statement, below in pairwise(definition.body):
        match statement, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                texts[name] = inspect.cleandoc(text)
            case _:
                pass
    return texts
