"""One training as one MLflow run."""
