"""What can go wrong with a baseline or a table that is compared with one.

ProjectError
├── BaselineError   a baseline that cannot be made or read
└── TableError     a table whose columns do not fit what is asked of them
"""

from core.errors import ProjectError


class BaselineError(ProjectError):
    """A baseline that cannot be made or read."""

    code = "baseline"


class TableError(ProjectError):
    """A table whose columns do not fit what is asked of them; no value is quoted."""

    code = "column"
