"""Tillpost."""
