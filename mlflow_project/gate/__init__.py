"""Promotion gate: the criteria that a version must meet before it is served."""
