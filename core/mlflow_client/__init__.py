"""Calls to an MLflow server with a deadline; each returns a result or raises one of our errors.

`client` makes the calls, `translation` converts exceptions into `errors`. MLflow is imported by the
first call, since the import takes seconds.
"""
