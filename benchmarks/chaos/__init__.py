"""A campaign of faults against the running system (docs/reliability.md)."""
