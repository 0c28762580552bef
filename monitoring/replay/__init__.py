"""Captured rows through another version, beside the one that answers."""
