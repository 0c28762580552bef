"""What jobs on Spark need: a session that has the project's code, and why it failed."""
