"""Journals: captured rows not yet in Parquet files, appended by proxies and read by jobs."""
