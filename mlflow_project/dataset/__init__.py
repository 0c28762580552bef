"""The modelling dataset: pairs of years, outcomes and leakage checks."""
