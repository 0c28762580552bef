"""Descriptions that complete a version's contract after registration."""
