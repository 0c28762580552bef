"""Flat tables in common file formats: one reader of CSV, .xlsx, Parquet, JSON lines; one writer."""
