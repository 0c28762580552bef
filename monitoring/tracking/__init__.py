"""The jobs' side of MLflow, and whom to tell."""
