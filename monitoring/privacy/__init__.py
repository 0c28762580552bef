"""Data-subject requests (erasure and export), and retention by age."""
