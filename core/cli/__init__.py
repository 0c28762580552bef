"""Code shared by the command-line programs."""
