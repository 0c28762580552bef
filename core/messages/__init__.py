"""Localized messages: English source strings in the code, translations in gettext catalogues.

    from core.messages import N_, _, ngettext

    _("The model {model} has no version {wanted}.", model=name, wanted=release)
    ngettext("{n} row", "{n} rows", count)
    TITLE = N_("Drift report")  # marked for extraction; where it is shown: _(TITLE)

The source string is English and stays one literal, so that Babel can extract it; facts are filled
in by name after translation. A fact that is a float is written with the language's decimal
separator; format others (percentages, dates, rounded numbers) with `core.messages.formats` first.

`APP_LANGUAGE` chooses the language: `pt_BR` unless set, `en` for the source strings. In a Jinja
template write `{{ _("{n} rows", n=count) }}`, in an environment made by
`core.pages.templates.environment`; what it returns is escaped like any text. After a change of
strings: `make messages`. Standard library only.
"""

import gettext as _gettext
import io
import os
import re
from functools import lru_cache
from importlib import resources
from typing import Any

LANGUAGES = ("pt_BR", "en")
DEFAULT_LANGUAGE = "pt_BR"
DOMAIN = "messages"
_FRACTION = re.compile(r"-?\d+[.,]\d+([eE][-+]?\d+)?")
"""Matches neither a count nor a hexadecimal digest."""


def language() -> str:
    """Return the language of this process: `APP_LANGUAGE`, or `pt_BR`."""
    wanted = (os.environ.get("APP_LANGUAGE") or DEFAULT_LANGUAGE).replace("-", "_").lower()
    return next((known for known in LANGUAGES if known.lower() == wanted), DEFAULT_LANGUAGE)


@lru_cache(maxsize=len(LANGUAGES))
def catalogue(name: str) -> _gettext.NullTranslations:
    """Return the translations of a language; English has none."""
    if name == "en":
        return _gettext.NullTranslations()
    # Not by a path: Spark's executors import this package from a zip.
    file = resources.files(__name__) / name / "LC_MESSAGES" / f"{DOMAIN}.mo"
    return _gettext.GNUTranslations(io.BytesIO(file.read_bytes()))


def N_(msgid: str) -> str:  # noqa: N802 (gettext's own name)
    """Mark a string for extraction; it is translated where it is shown."""
    return msgid


def _(msgid: str, **facts: Any) -> str:
    """Return a message in this process's language, with its facts filled in by name."""
    text = catalogue(language()).gettext(msgid) if msgid else ""
    return text.format(**_shown(facts)) if facts else text


def ngettext(one: str, many: str, n: int, **facts: Any) -> str:
    """Return the form of a message that fits the count `n`, which is also the fact `{n}`.

    `{n}` is written with the language's thousands separator.
    """
    text = catalogue(language()).ngettext(one, many, n)
    return text.format(**_shown({"n": grouped(n), **facts}))


def decimal(value: float) -> str:
    """Return a number with the language's decimal separator: six digits, or all integer digits."""
    text = f"{value:.0f}" if 1e6 <= abs(value) < 1e15 else f"{value:g}"
    return text if language() == "en" else text.replace(".", ",")


def decimal_text(text: str) -> str:
    """Return a fraction that MLflow stores as text in `decimal`'s format; other text unchanged."""
    return decimal(float(text.replace(",", "."))) if _FRACTION.fullmatch(text) else text


def grouped(count: int) -> str:
    """Return a count with the language's thousands separator."""
    text = f"{count:,}"
    return text if language() == "en" else text.replace(",", ".")


def _shown(facts: dict[str, Any]) -> dict[str, Any]:
    return {k: decimal(v) if isinstance(v, float) else v for k, v in facts.items()}
