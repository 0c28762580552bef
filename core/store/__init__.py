"""The inference store: what a captured row is, where it lies, and who holds its journals."""
