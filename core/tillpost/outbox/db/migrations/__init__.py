"""The steps that migrate the outbox's tables from version to version.

`migrate` runs them.
"""
