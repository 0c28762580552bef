"""What a backup holds, and where each part of it is in an installation."""
