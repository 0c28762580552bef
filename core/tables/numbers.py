"""Numbers and booleans in the notations of hand-written tables, parsed a column at a time.

A mark between digits is the decimal mark or a thousands separator. `1.234.567`, `1.234,5` and `7,5`
are unambiguous; `1.234` and `1,234` are ambiguous, and the other cells of the file decide
(`decimal_mark`). Where they do not, it is not a number: a factor of a thousand is not guessed.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from core.contract.numbers import NULLS

# Without accents, as `yes_or_no` compares them.
_WORDS = {
    **dict.fromkeys(("true", "verdadeiro", "sim", "s", "yes", "y"), True),
    **dict.fromkeys(("false", "falso", "nao", "n", "no"), False),
}
_SIGN = "[+-]?"
_POINTS = rf"{_SIGN}[1-9]\d{{0,2}}(\.\d{{3}})"
_COMMAS = rf"{_SIGN}[1-9]\d{{0,2}}(,\d{{3}})"
PORTUGUESE = rf"^({_POINTS}+,\d+|{_POINTS}{{2,}})$"
"""Points are unambiguously thousands separators."""
ENGLISH = rf"^({_COMMAS}+\.\d+|{_COMMAS}{{2,}})$"
LONE_POINT, LONE_COMMA = rf"^{_POINTS}$", rf"^{_COMMAS}$"
"""Ambiguous: a thousands separator, or three decimals."""
_DOUBTFUL = {"": f"{LONE_POINT}|{LONE_COMMA}", ".": LONE_COMMA, ",": "^$"}
"""Ambiguous texts, by the file's decimal mark."""
_NO_TEXT, _NO_NUMBER = pa.scalar(None, pa.string()), pa.scalar(None, pa.float64())
_PLAIN = rf"^{_SIGN}(\d+(\.\d*)?|\.\d+)([eE]{_SIGN}\d{{1,3}})?$"
_LONG = rf"^{_SIGN}\d{{16,}}$"
_DECIMAL = {mark: re.compile(rf"{_SIGN}\d*{re.escape(mark)}\d+") for mark in ",."}


def decimal_mark(cells: Iterable[str], separator: str) -> str:
    """Return the decimal mark of a file, `,` or `.`, by its cells; "" where it is undetermined.

    Where only cells such as `1.234` have a mark, it is the decimal mark if usual for `separator`: a
    point with commas between cells, a comma with anything else.
    """
    found, lone = set(), set()
    for cell in (text.strip() for text in cells):
        if re.match(LONE_POINT, cell) or re.match(LONE_COMMA, cell):
            lone.add("." if "." in cell else ",")
        elif re.match(PORTUGUESE, cell) or _DECIMAL[","].fullmatch(cell):
            found.add(",")
        elif re.match(ENGLISH, cell) or _DECIMAL["."].fullmatch(cell):
            found.add(".")
    if found:
        return found.pop() if len(found) == 1 else ""
    usual = "." if separator == "," else ","
    return usual if lone == {usual} else ""


def read_numbers(texts: pa.Array, decimal: str) -> tuple[pa.Array, pa.Array]:
    """Parse texts as numbers; return these and the mask of texts that are not numbers.

    Args:
        texts: trimmed strings or nulls, shape (n,).
        decimal: the file's decimal mark, or "" where it is not known.

    Returns:
        doubles with null where there is none, and the mask of texts that are invalid, (n,) each.
    """
    marks = {mark for mark in ",." if pc.any(pc.match_substring(texts, mark)).as_py()}
    if marks <= {decimal}:
        # The usual column, at a fifth of the cost: none of its cells is ambiguous.
        numbers, refused = _plain(texts, pa.scalar(False))
        if not pc.any(refused).as_py():
            return numbers, refused
    for pattern, thousands in ((PORTUGUESE, "."), (ENGLISH, ",")):
        texts = _without(texts, pattern, thousands)
    if decimal == ",":
        texts = _without(texts, LONE_POINT, ".")
    return _plain(texts, pc.match_substring_regex(texts, _DOUBTFUL[decimal]))


def _plain(texts: pa.Array, doubtful: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return the numbers of texts with at most one mark, and the mask of texts without one."""
    texts = pc.replace_substring(texts, ",", ".")
    good = pc.and_not(pc.match_substring_regex(texts, _PLAIN), doubtful)
    plain = pc.utf8_ltrim(pc.if_else(good, texts, _NO_TEXT), "+")
    numbers = pc.cast(plain, pa.float64())
    good = pc.and_(good, pc.fill_null(pc.is_finite(numbers), False))
    return pc.if_else(good, numbers, _NO_NUMBER), pc.invert(pc.fill_null(good, True))


def _without(texts: pa.Array, pattern: str, mark: str) -> pa.Array:
    """Return texts with `mark` removed where they match `pattern`."""
    found = pc.match_substring_regex(texts, pattern)
    return pc.if_else(found, pc.replace_substring(texts, mark, ""), texts)


def typed(texts: pa.Array, kind: str | None, decimal: str) -> list[Any]:
    """Return a column's cells as values of a type; a text that cannot be converted stays text.

    Args:
        texts: strings, shape (n,).
        kind: double, long, boolean or string; None: text as it is.
        decimal: the file's decimal mark, or "".
    """
    trimmed = pc.utf8_trim_whitespace(texts)
    trimmed = pc.if_else(pc.is_in(trimmed, pa.array(sorted(NULLS))), _NO_TEXT, trimmed)
    if kind not in ("double", "long", "boolean"):
        found: list[Any] = pc.if_else(pc.is_valid(trimmed), texts, _NO_TEXT).to_pylist()
        return found
    numbers, refused = read_numbers(trimmed, decimal)
    values: list[Any] = numbers.to_pylist()
    if kind != "double":
        values = [_whole(value) for value in values]
    for place in pc.indices_nonzero(refused).to_pylist():
        values[place] = texts[place].as_py()
    if kind == "long":  # a double cannot represent every integer of so many digits
        for place in pc.indices_nonzero(pc.match_substring_regex(trimmed, _LONG)).to_pylist():
            values[place] = int(trimmed[place].as_py())
    return [yes_or_no(value) for value in values] if kind == "boolean" else values


def typed_values(values: Sequence[Any], kind: str | None) -> list[Any]:
    """Return the typed cells of a workbook, with text cells converted as in `typed`."""
    texts = [value if isinstance(value, str) else None for value in values]
    read = typed(pa.array(texts, pa.string()), kind, "")
    number = _whole if kind == "long" else (lambda value: value)
    return [
        own if text is not None else number(value)
        for own, text, value in zip(read, texts, values, strict=True)
    ]


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def yes_or_no(value: Any) -> Any:
    """Return a yes-or-no value as a bool, any other unchanged."""
    if isinstance(value, str):
        letters = unicodedata.normalize("NFKD", value.strip().lower())
        return _WORDS.get("".join(x for x in letters if not unicodedata.combining(x)), value)
    return {0: False, 1: True}.get(value, value)
