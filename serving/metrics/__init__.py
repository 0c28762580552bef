"""What workers count, its exposition for Prometheus, and the service levels."""
