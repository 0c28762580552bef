"""Gather concurrent requests into batches and score them."""
