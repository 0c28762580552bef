"""The root of all errors that a person can meet: a stable code, facts, and a sentence for them.

The sentence is made when it is shown, in the reader's language. A subclass states its `message`, an
English source string (`core.messages`), and takes its facts by name:

    class UnknownVersion(RegistryError):
        code = "unknown_version"
        message = N_("The model {model} has no version {wanted}. Known: {known}.")

    raise UnknownVersion(model=name, wanted=release, known=", ".join(known))

Where one class serves many sentences, the sentence comes first:

    raise ContractError(N_("feature {name} is listed twice"), name=name)

Rooms draw their own trees below this one. Facts never hold a child's values.
"""

from typing import Any

from core.messages import _


class ProjectError(Exception):
    """What was wrong, where, and what to do."""

    code = "error"
    message = "{reason}"

    def __init__(self, message: str | None = None, /, **facts: Any) -> None:
        """Keep the facts that the message names; `message` replaces the class's own."""
        super().__init__()
        if message is not None:
            self.message = message
        self.facts = facts

    def __str__(self) -> str:
        """Return the sentence in this process's language."""
        return _(self.message, **self.facts)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as class, message and facts, for errors that cross a process."""
        return _restored, (type(self), self.message, self.facts)


def _restored(kind: type[ProjectError], message: str, facts: dict[str, Any]) -> ProjectError:
    error = kind.__new__(kind)
    ProjectError.__init__(error, message, **facts)
    return error
