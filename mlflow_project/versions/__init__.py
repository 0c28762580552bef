"""Registered versions: a model becomes one, is tried, compared and described."""
