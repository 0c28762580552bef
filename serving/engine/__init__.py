"""Batching and scoring of concurrent requests."""
