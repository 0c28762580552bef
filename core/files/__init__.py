"""Local files: atomic writes, locks, temporary folders, limits on archives, skops models."""
