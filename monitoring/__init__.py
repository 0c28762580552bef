"""Baseline, drift and performance jobs, each an MLflow run; they know versions, not a domain."""
