"""Pages: a common style sheet, a base template, and the environment that renders templates."""
