"""What is registered and logged in MLflow: versions, aliases, packages, runs, and who serves them.

`versions` finds registered versions, `packages` reads what a version consists of, `runs` its runs
and their files, `proxies` who serves which.
"""
