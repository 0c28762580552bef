"""Records in MLflow: versions, aliases, model files, runs, and reports of the serving proxies.

`versions` finds registered versions, `packages` reads a version's files, `runs` reads and writes
runs and their artifacts, `proxies` the reports of which proxy serves which version.
"""
