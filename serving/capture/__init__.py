"""Capture of every answered row: journals, and their conversion to Parquet."""
