"""The outbox's database: engine, schema, migrations."""
