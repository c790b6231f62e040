"""Stored connections: credentials, their encryption, token refresh, availability."""
