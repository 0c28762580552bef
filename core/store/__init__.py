"""The inference store as files: what a captured row is, where it lies, which files count now."""
