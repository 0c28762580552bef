"""The gate: what a version must show before it may be served."""
