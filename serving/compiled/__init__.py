"""Estimators as functions on arrays, each verified against the original method before use."""
