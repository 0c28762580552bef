"""The inference store as files: schema of captured rows, location, live files, quarantine."""
