"""Estimators as functions on arrays, each verified against what it replaces before it is used."""
