"""One MLflow client: connect, versions, aliases, packages, runs; MLflow's errors become ours once.

`client` makes calls that end, `translation` turns what went wrong into `errors`, `versions` finds
registered versions, `packages` reads what a version consists of, `runs` its runs and their files.
MLflow is imported by the first call, since that takes seconds.
"""
