"""Benchmarks whose results the documentation quotes; each prints its own table."""
