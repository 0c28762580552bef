"""The JSON log, the heartbeats, and the memory of a worker."""
