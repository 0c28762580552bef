"""Versions from elsewhere: old files, other servers."""
