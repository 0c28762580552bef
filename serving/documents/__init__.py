"""The runbook and the documents that it links to, as HTML pages."""
