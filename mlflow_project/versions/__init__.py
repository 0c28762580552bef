"""Registered versions: registration, trial, comparison and command-line arguments."""
