"""JSON from outside gives each key once: of two equal ones, one reader takes one, one the other."""

from typing import Any


class RepeatedKey(ValueError):
    """An object has a key twice; `name` is the key, `position` where it came again, from 1."""

    def __init__(self, name: str, position: int) -> None:
        """Keep which, for whoever may show it: it may be a value in a key's place."""
        super().__init__("a key is given twice")
        self.name, self.position = name, position


def each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of its pairs: an `object_pairs_hook` of the standard library's decoder.

    Raises:
        RepeatedKey: one of them comes again.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _value in pairs]
        place = next(n for n, name in enumerate(names) if name in names[:n])
        raise RepeatedKey(names[place], place + 1)
    return found
