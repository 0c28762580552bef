"""Support for jobs on Spark: sessions with the project's code, datasets, and failures."""
