"""The JSON log, and the memory of a worker."""
