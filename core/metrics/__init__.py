"""One definition of each metric, the same in training and in monitoring. Pure arithmetic."""
