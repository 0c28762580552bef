"""The runbook and the documents that it names, as pages."""
