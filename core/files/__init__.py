"""Files of a local disk: written whole or not at all, and locked by one process at a time."""
