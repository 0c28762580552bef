"""Record every answered row: journals, and their conversion to Parquet."""
