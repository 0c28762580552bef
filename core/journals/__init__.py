"""Journals: captured rows before they are Parquet files, as proxies append and jobs read them."""
