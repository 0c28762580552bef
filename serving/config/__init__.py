"""Settings of one proxy process."""
