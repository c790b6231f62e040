"""The outbox's connections: sealed credentials, circuit breakers, availability."""
