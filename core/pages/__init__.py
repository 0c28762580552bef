"""Pages: one look, one skeleton, and the environment that renders their templates."""
