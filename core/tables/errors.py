"""What can be wrong with a table as a whole; cells that are not as wanted are their reader's."""

from core.errors import ProjectError


class UnreadableTable(ProjectError):
    """A file that is no table, or not one of its kind; no message quotes a value of it."""

    code = "unreadable_table"
