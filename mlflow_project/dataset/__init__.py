"""From yearly tables to pairs of years and outcomes."""
