"""Fitting: pipelines, procedures, thresholds."""
