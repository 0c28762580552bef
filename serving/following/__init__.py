"""Following of the alias: resolve, load, verify, swap, and the cache of the last good version."""
