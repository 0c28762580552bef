"""What changes a store afterwards: past days merged into few files, and rows erased on request."""
