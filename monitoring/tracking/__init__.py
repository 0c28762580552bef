"""The jobs' access to the registry, logging of runs, and notification."""
