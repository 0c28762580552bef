"""Maintenance of a store: compaction of past days' files, and erasure of rows on request."""
