"""Numbers, shares and times are formatted for the configured language."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from core.messages import decimal, decimal_text
from core.messages.formats import duration, milliseconds, moment, number, percent
from core.pages.templates import environment


def test_words_and_numbers_are_portuguese() -> None:
    """Numbers have decimal commas and units; a share below 1 is never rounded to 100 %."""
    assert (number(1234.5, 1), number(None), number(-0.001, 2)) == ("1.234,5", "–", "0,00")
    assert (percent(1.0), percent(0.0), percent(0.98765, 2)) == ("100 %", "0 %", "98,77 %")
    found = [decimal(value) for value in (0.25, -3.0, 1234567.0, 20_231_115.0, 1e20)]
    assert found == ["0,25", "-3", "1234567", "20231115", "1e+20"]
    assert percent(0.99996, 2) == "mais de 99,99 %"
    assert percent(0.00001, 2) == "menos de 0,01 %"
    assert (milliseconds(0.0042), milliseconds(0.25)) == ("4,2 ms", "250 ms")
    assert [duration(timedelta(seconds=s)) for s in (1, 90, 7300, 200_000)] == [
        *("1 segundo", "1 minuto", "2 horas", "2 dias"),
    ]


@pytest.mark.parametrize(
    ("zone", "text"),
    [("UTC0", "25/11/2026 12:00 UTC"), ("<-03>3", "25/11/2026 09:00 UTC-03:00")],
)
def test_a_time_names_its_zone(zone: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A time is written in the machine's time zone, with its offset from UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        found = moment(datetime(2026, 11, 25, 12, tzinfo=UTC))
    time.tzset()
    assert found == text


def test_a_template_escapes_translates_and_formats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A template escapes and formats its values; an undefined name raises an error."""
    (tmp_path / "page.html").write_text('{{ _("Alias {alias}", alias=who) }} {{ share|percent }}')
    (tmp_path / "bad.html").write_text("{{ nobody }}")
    page = environment(tmp_path).get_template("page.html")
    assert page.render(who="<b>", share=0.5) == "Alias &lt;b&gt; 50,0 %"
    monkeypatch.setenv("APP_LANGUAGE", "en")
    assert page.render(who="x", share=0.5) == "Alias x 50.0 %"
    with pytest.raises(UndefinedError, match="nobody"):
        environment(tmp_path).get_template("bad.html").render()


@pytest.mark.parametrize(
    ("kept", "written"),
    [
        *(("0.500000", "0,5"), ("0,35", "0,35"), ("-12.5", "-12,5"), ("1.5e-05", "1,5e-05")),
        *(("942", "942"), ("12e999", "12e999"), ("v1.0", "v1.0"), ("1.2.3", "1.2.3"), ("", "")),
    ],
)
def test_a_fraction_kept_as_text_is_written_as_people_do(kept: str, written: str) -> None:
    """A decimal point becomes a comma; counts, releases and other texts stay unchanged."""
    assert decimal_text(kept) == written
