"""The Django app, and its check of the settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured

from tillpost.errors import ConfigError
from tillpost.outbox import DatabaseError

__all__ = ["TillpostConfig", "check_settings"]


class TillpostConfig(AppConfig):
    """Tillpost as an app of a Django project."""

    name = "tillpost_django"
    verbose_name = "Tillpost"

    def ready(self) -> None:
        """Have `manage.py check` check the settings."""
        register(check_settings)


def check_settings(**_: Any) -> Sequence[CheckMessage]:
    """Return what is wrong with the settings. Asks no database."""
    from tillpost_django.transactions import outbox

    try:
        outbox()
    except (ImproperlyConfigured, ConfigError, DatabaseError) as error:
        return [Error(str(error), id="tillpost.E001")]
    return []
