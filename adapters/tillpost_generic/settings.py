"""The settings of a connection to a POS that serves Tillpost's own format.

`Till.connect("generic", ...)` takes these fields.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Annotated

from pydantic import Field, SecretStr

from tillpost.adapter import AdapterSettings, Credentials, LookUpPauses

__all__ = ["GenericSettings"]


class GenericSettings(AdapterSettings):
    """The settings of a connection to a POS that serves Tillpost's own format."""

    base_url: str
    """The address under which the POS serves the format.

    It is without `/orders` and the like. It must be https; plain http is allowed on this machine
    only.
    """

    pos_name: Annotated[str, Field(max_length=40, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""
    """The POS's own name, for the texts that staff read.

    Without it they say Generic POS.
    """

    access_token: Annotated[SecretStr, Field(min_length=1, validate_default=True)] = SecretStr("")
    """The token that the POS expects.

    It is sent as a bearer token, or with `username` as the password of basic authentication.
    """

    username: Annotated[str, Field(pattern=r"^[^:]*$")] = ""
    """The user name for basic authentication. Leave it empty to send a bearer token."""

    signing_key: Annotated[SecretStr, Field(min_length=1)]
    """The secret that signs requests and webhooks, shared with the POS.

    Use 32 random characters or more.
    """

    allow_private: bool = False
    """Whether to connect to addresses that aren't public too.

    Set it only for an address that you chose yourself.
    """

    look_after: LookUpPauses = (1.0, 3.0)
    """When to look up an order that may exist.

    The pauses are in seconds, each after the look-up before.
    """

    def credentials(self) -> Credentials:
        """Return the token as it is sent, and the secret that signs requests."""
        return Credentials(access_token=self._sent_token(), client_secret=self.signing_key)

    def _sent_token(self) -> SecretStr:
        if not self.username:
            return self.access_token
        user_and_password = f"{self.username}:{self.access_token.get_secret_value()}"
        return SecretStr(b64encode(user_and_password.encode()).decode())
