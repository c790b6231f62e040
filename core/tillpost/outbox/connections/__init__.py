"""Stored connections: credentials and their encryption, token refresh, availability."""
