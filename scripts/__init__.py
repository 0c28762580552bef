"""What starts, prepares and rehearses the system; run as `python -m scripts.<name>`."""
