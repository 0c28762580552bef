"""Base class of all errors shown to users: a stable code, facts, and a localized message.

The message is formatted when shown, in the process's language. A subclass states its `message`, an
English source string (`core.messages`), and takes its facts by name:

    class UnknownVersion(RegistryError):
        code = "unknown_version"
        message = N_("The model {model} has no version {wanted}. Known: {known}.")

    raise UnknownVersion(model=name, wanted=release, known=", ".join(known))

Where one class has several messages, the message is the first argument:

    raise ContractError(N_("feature {name} is listed twice"), name=name)

Each subpackage defines its own hierarchy below this class. Facts never hold a child's values.
"""

from typing import Any

from core.messages import _


class ProjectError(Exception):
    """An error shown to users: what was wrong, where, and what to do."""

    code = "error"
    message = "{reason}"

    def __init__(self, message: str | None = None, /, **facts: Any) -> None:
        """Store the facts that the message names; `message` overrides the class's own."""
        super().__init__()
        if message is not None:
            self.message = message
        self.facts = facts

    def __str__(self) -> str:
        """Return the message in this process's language."""
        return _(self.message, **self.facts)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as class, message and facts, so that errors can cross process boundaries."""
        return _restored, (type(self), self.message, self.facts)


def _restored(kind: type[ProjectError], message: str, facts: dict[str, Any]) -> ProjectError:
    error = kind.__new__(kind)
    ProjectError.__init__(error, message, **facts)
    return error
