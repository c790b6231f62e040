"""Models of the outbox's orders and connections, for the admin and permissions.

Tillpost creates and changes the tables, so Django's migrations leave them alone. Times are epoch
seconds.
"""

from __future__ import annotations

from django.db import models

__all__ = ["Connection", "Order"]


class Order(models.Model):
    """An order in the outbox."""

    id: models.CharField[str, str] = models.CharField(primary_key=True, max_length=40)
    connection: models.CharField[str, str] = models.CharField(max_length=200)
    code: models.TextField[str, str] = models.TextField()
    customer: models.TextField[str, str] = models.TextField()
    state: models.CharField[str, str] = models.CharField(max_length=20)
    progress: models.CharField[str, str] = models.CharField(max_length=20)
    added_at: models.FloatField[float, float] = models.FloatField()
    problem_at: models.FloatField[float | None, float | None] = models.FloatField(null=True)

    class Meta:
        """The table, and who may do what."""

        managed = False
        db_table = "tillpost_orders"
        ordering = ("-added_at",)
        default_permissions = ("view",)
        permissions = (("operate_order", "Can resubmit, take over and cancel orders"),)

    def __str__(self) -> str:
        """Return the code that staff know the order by."""
        return self.code or self.id


class Connection(models.Model):
    """A connection of the outbox. `Connections.states` has what is shown of it."""

    name: models.CharField[str, str] = models.CharField(primary_key=True, max_length=200)

    class Meta:
        """The table, and who may do what."""

        managed = False
        db_table = "tillpost_connections"
        default_permissions = ("view",)

    def __str__(self) -> str:
        """Return its name."""
        return self.name
