"""Baselines, and the comparison of a window with a baseline."""
