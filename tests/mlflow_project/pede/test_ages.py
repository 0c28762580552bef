"""Decimal ages: how days of birth are read, when they are used, and ages without them."""

from datetime import datetime

import numpy as np
import pandas as pd

from mlflow_project.pede.ages import days_of_birth, decimal_ages, explain_ages


def test_text_shows_whether_the_month_comes_first() -> None:
    """A number above 12 shows the order of all texts; without one they are not read."""
    march = (3 - 1 + (5 - 0.5) / 31) / 12
    assert days_of_birth(["3/5/2012", "8/14/2012"])[0] == march
    assert days_of_birth(["5/3/2012", "14/8/2012"])[0] == march
    assert days_of_birth(["2012-03-05", "05/03/2012 00:00", "31.12.2010"])[:2].tolist() == [
        march,
        march,
    ]
    assert np.isnan(days_of_birth(["3/5/2012", "4/5/2012"])).all()
    assert np.isnan(days_of_birth(["13/14/2012", 2012, None, "?"])).all()


def test_dates_that_a_program_read_day_first_are_turned_back() -> None:
    """Real dates up to the 12th beside texts of later days were misread and are swapped back."""
    texts = ["8/14/2012", "1/31/2012", datetime(2012, 4, 9)]
    (september,) = days_of_birth(texts)[2:]
    assert september == (9 - 1 + (4 - 0.5) / 31) / 12
    # A real date after the 12th shows that none was swapped.
    april = days_of_birth([*texts, datetime(2012, 4, 19)])[2]
    assert april == (4 - 1 + (9 - 0.5) / 31) / 12


def test_days_that_do_not_explain_the_ages_are_not_believed() -> None:
    """Shuffled or missing days of birth do not explain the ages; true ones do."""
    rng = np.random.default_rng(0)
    born = rng.random(300)
    younger = (born > 0.8).astype(float)
    assert explain_ages(born, younger)
    assert explain_ages(born, np.zeros(300)), "the sheet counts ages at the end of the year"
    assert not explain_ages(rng.permutation(born), younger)
    assert not explain_ages(np.full(3, np.nan), np.zeros(3))


def test_ages_are_those_of_30_june() -> None:
    """Without a day of birth the age is whole years, or half a year less for a late birthday."""
    frame = pd.DataFrame(
        {
            "ano": 2023,
            "ano_nascimento": [2010.0, 2010.0, 2010.0, np.nan],
            "idade": [13.0, 13.0, 12.0, 13.0],
        }
    )
    ages = decimal_ages(frame, pd.Series([0.25, np.nan, np.nan, np.nan]))
    assert ages.tolist() == [13.25, 13.0, 12.5, 13.0]
