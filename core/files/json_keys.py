"""Reject repeated keys in external JSON, since parsers differ in which of the values they keep."""

from typing import Any


class RepeatedKey(ValueError):
    """A repeated key in an object; `name` is the key, `position` that of the repetition, from 1."""

    def __init__(self, name: str, position: int) -> None:
        """Store the key, which the message omits, since it may be a value in a key's place."""
        super().__init__("a key is given twice")
        self.name, self.position = name, position


def each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object's pairs as a dict: an `object_pairs_hook` of the standard library's decoder.

    Raises:
        RepeatedKey: a key occurs twice.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _value in pairs]
        place = next(n for n, name in enumerate(names) if name in names[:n])
        raise RepeatedKey(names[place], place + 1)
    return found
