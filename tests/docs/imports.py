"""What a piece of Python imports, read from its text: nothing is run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple


class Import(NamedTuple):
    """One name that is imported from a module; without a name, the module itself."""

    module: str
    name: str = ""

    def __str__(self) -> str:
        """Return the import as it is written."""
        if self.name:
            return f"from {self.module} import {self.name}"
        return f"import {self.module}"


def imports(source: str) -> Iterator[Import]:
    """Yield each absolute import, also those inside functions and under `TYPE_CHECKING`."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (Import(alias.name) for alias in names)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                yield from (Import(module, alias.name) for alias in names)
            case _:
                pass


def of_tillpost(source: str) -> Iterator[Import]:
    """Yield the imports of Tillpost's own packages: `tillpost` and `tillpost_*`."""
    for found in imports(source):
        root = found.module.partition(".")[0]
        if root == "tillpost" or root.startswith("tillpost_"):
            yield found
