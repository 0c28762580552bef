"""Commands that start, prepare, back up and drill the system: `python -m scripts.<name>`."""
