"""Errors of a table as a whole; errors of single cells are left to the caller."""

from core.errors import ProjectError


class UnreadableTable(ProjectError):
    """A file that is not a table, or not of its format; no message quotes a cell's value."""

    code = "unreadable_table"
