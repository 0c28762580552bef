"""Loading of a downloaded model into a verified scoring function."""
