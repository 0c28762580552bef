"""The MLflow project: PEDE data, training, the gate and the registry commands."""
