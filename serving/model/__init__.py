"""From a downloaded model to a verified scoring function."""
