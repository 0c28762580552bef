"""Flat tables as people have them: one reader of CSV, .xlsx, Parquet and JSON lines, one writer."""
