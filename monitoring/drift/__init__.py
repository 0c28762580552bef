"""Baselines, and the comparison of a window with one."""
