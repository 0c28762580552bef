"""What both Spark jobs need: the project's code as one file."""
