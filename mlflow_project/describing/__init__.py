"""Completing the contract of a version from outside."""
