"""Logs, counters and service levels of a worker."""
