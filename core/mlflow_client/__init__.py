"""Calls to an MLflow server, each of which ends in time: in an answer, or in an error of ours.

`client` makes calls that end, `translation` turns what went wrong into `errors`. MLflow is imported
by the first call, since that takes seconds.
"""
