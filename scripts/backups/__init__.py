"""Content of a backup, and the place of each part in an installation."""
