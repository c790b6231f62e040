"""The base of every word of the trade: a frozen pydantic model, refused in one line when it is wrong.

`Order`, `Menu` and their parts derive from `FrozenModel`. Whoever shows a refusal to a person calls
`explain`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

__all__ = ["Aware", "Count", "FrozenModel", "Id", "Text", "explain"]


class FrozenModel(BaseModel):
    """A value that never changes, and that has no field nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with some fields changed, unchecked. What was worked out from the old fields is left behind."""
        copied = super().model_copy(update=update, deep=deep)
        held = vars(copied)
        for name in held.keys() - type(self).model_fields.keys():
            del held[name]
        return copied


Id = Annotated[str, StringConstraints(min_length=1, max_length=192, strip_whitespace=True)]
"""An identifier as a platform or a site gives it. Always text, since some platforms use 64-bit numbers."""

Text = Annotated[str, StringConstraints(strip_whitespace=True)]
"""Free text for people."""

Count = Annotated[int, Field(strict=True, ge=1, le=9999)]
"""How many of a thing: a whole number from 1 on."""

Aware = AwareDatetime
"""A point in time with its offset. A naive time is refused: nobody could say when the food is due."""

_PLAIN = {
    "missing": "is missing",
    "extra_forbidden": "isn't a field of it",
    "timezone_aware": "needs an offset, like 2026-11-23T19:00:00+11:00",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
}


def explain(error: ValidationError) -> str:
    """Say in one line what is wrong with a value that pydantic refused: the field's path, then the fault.

    The refused value itself is left out, because it may be a token or a customer's name.

    >>> from tillpost.models.order import Payment
    >>> try:
    ...     Payment.model_validate({"method": "card", "amount": 28.81})
    ... except ValidationError as e:
    ...     print(explain(e))
    amount: Input should be a valid integer
    """
    listed = error.errors(include_url=False, include_input=False, include_context=False)
    # A tuple whose one member is refused is called too short as well, which is no second fault.
    within = {fault["loc"][:1] for fault in listed if len(fault["loc"]) > 1}
    faults = [
        fault for fault in listed if fault["type"] != "too_short" or fault["loc"] not in within
    ]
    first = faults[0]
    path = "".join(
        f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"]
    ).lstrip(".")
    # The one message that repeats the value says so: "Input tag '...' found using 'type' does not
    # match ...".
    said = first["msg"].removeprefix("Value error, ").rpartition(" found using ")[2]
    text = _PLAIN.get(first["type"], said)
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    line = f"{path}: {text}{more}" if path else f"{text}{more}"
    return " ".join(line.split())  # a field's name or tag may come with a line break of its own
