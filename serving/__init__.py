"""Proxy that serves the registry alias of any MLflow scikit-learn model with a contract."""
