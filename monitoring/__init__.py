"""Baseline, drift and performance jobs, each logged as an MLflow run, for any model's versions."""
