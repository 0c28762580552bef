"""Batch scoring of files, on this machine or on Spark."""
