"""Scoring of an uploaded workbook, returned as a list."""
