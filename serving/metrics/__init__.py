"""Metrics of the workers, their exposition for Prometheus, and the service levels."""
