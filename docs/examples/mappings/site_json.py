"""A site's JSON, read so that each error is a `ValueError` that names the site's field."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, cast

from amounts import minor
from pydantic import ValidationError

from tillpost import Customer, explain

__all__ = ["Part", "customer", "naming", "read_json"]


def read_json(path: str) -> Any:
    """Read a JSON file; numbers with a point are decimals."""
    text = Path(path).read_text(encoding="utf-8")
    return json.loads(text, parse_float=Decimal)


class Part:
    """An object of a site's JSON, with its path there, such as `line_items[0]`."""

    def __init__(self, content: Any, path: str = "") -> None:
        self.path = path
        if not isinstance(content, Mapping):
            raise ValueError(f"{path or 'the order'}: isn't an object")
        self._content: Mapping[str, Any] = content

    def __contains__(self, name: str) -> bool:
        return name in self._content

    def fault(self, name: str, text: str) -> ValueError:
        """Return an error that names a field of this part."""
        return ValueError(f"{self._path_of(name)}: {text}")

    def value(self, name: str) -> Any:
        """Return a field that must be there. It may be null."""
        if name not in self._content:
            raise self.fault(name, "is missing")
        return self._content[name]

    def text(self, name: str) -> str:
        """Return a text; "" if it is null or missing. A number becomes a text."""
        value = self._content.get(name)
        if value is None:
            return ""
        if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
            raise self.fault(name, "isn't a text")
        return str(value)

    def flag(self, name: str) -> bool:
        """Return true or false."""
        value = self.value(name)
        if not isinstance(value, bool):
            raise self.fault(name, "isn't true or false")
        return value

    def is_set(self, name: str) -> bool:
        """Return whether a field is there, and neither null nor false nor empty."""
        return bool(self._content.get(name))

    def decimal(self, name: str) -> Decimal:
        """Return a number, which may be written as a text."""
        value = self.value(name)
        if isinstance(value, float):
            raise self.fault(name, "is a float, which isn't exact: read the JSON with read_json")
        try:
            return Decimal(value)
        except (InvalidOperation, TypeError, ValueError):
            raise self.fault(name, "isn't a number") from None

    def pieces(self, name: str) -> int:
        """Return a quantity."""
        quantity = self.decimal(name)
        if quantity < 1 or quantity != int(quantity):
            raise self.fault(name, f"{quantity} isn't a whole number of pieces")
        return int(quantity)

    def amount(self, name: str, currency: str) -> int:
        """Return an amount in minor units."""
        number = self.decimal(name)
        try:
            return minor(number, currency)
        except ValueError as error:
            raise self.fault(name, str(error)) from None

    def time(self, name: str) -> datetime:
        """Return a time, with an offset if it has one."""
        try:
            return datetime.fromisoformat(self.text(name))
        except ValueError:
            raise self.fault(name, "isn't a time, like 2026-11-23T19:00:00+11:00") from None

    def part(self, name: str) -> Part | None:
        """Return a part of this one; None if it is null or missing."""
        content = self._content.get(name)
        return None if content is None else Part(content, self._path_of(name))

    def parts(self, name: str) -> list[Part]:
        """Return the parts of a list. The list must be there; null is an empty one."""
        path = self._path_of(name)
        members: object = self.value(name) or []
        if not isinstance(members, list):
            raise self.fault(name, "isn't a list")
        each_part = enumerate(cast("list[object]", members))
        return [Part(each, f"{path}[{index}]") for index, each in each_part]

    def _path_of(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name


@contextmanager
def naming(path: str) -> Generator[None]:
    """Name the site's part where `Order` or a part of it refuses what was read from it."""
    try:
        yield
    except ValidationError as error:
        raise ValueError(f"{path}: {explain(error)}") from None


def customer(name: str, phone: str, email: str, number: str) -> Customer | None:
    """Return the customer. One without a name is called out by the order's number.

    >>> customer("", "+61400111222", "", "8127")
    Customer(name='8127', phone='+61400111222', email='')
    """
    if not (name or phone or email):
        return None
    return Customer(name=name or number, phone=phone, email=email)
