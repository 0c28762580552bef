"""Scoring of files beyond one machine."""
