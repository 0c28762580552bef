"""The root of all errors that a person can meet: a stable code, facts, and a sentence for them.

The sentence is made when it is shown, in the reader's language. A subclass states its `message`, an
English source string (`core.messages`), and takes its facts by name:

    class UnknownVersion(RegistryError):
        code = "unknown_version"
        message = N_("The model {model} has no version {wanted}. Known: {known}.")

    raise UnknownVersion(model=name, wanted=release, known=", ".join(known))

Rooms draw their own trees below this one. Facts never hold a child's values.
"""

from typing import Any

from core.messages import _


class ProjectError(Exception):
    """What was wrong, where, and what to do."""

    code = "error"
    message = "{reason}"

    def __init__(self, **facts: Any) -> None:
        """Keep the facts that the message names."""
        super().__init__()
        self.facts = facts

    def __str__(self) -> str:
        """Return the sentence in this process's language."""
        return _(self.message, **self.facts)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by class and facts, for errors that cross a process."""
        return _restored, (type(self), self.facts)


def _restored(kind: type[ProjectError], facts: dict[str, Any]) -> ProjectError:
    return kind(**facts)
