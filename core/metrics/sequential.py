"""Anytime-valid evidence: it may be evaluated after every observation.

A p-value is valid for one evaluation. An e-value, a nonnegative supermartingale that starts at 1
where the null hypothesis is true, is valid for all: by Ville's inequality it ever reaches 1/α with
probability at most α. The one here is a mixture sequential probability ratio test of a probability
(Robbins, Statistical Methods Related to the Law of the Iterated Logarithm, 1970; Johari, Koomen,
Pekelis, Walsh, Always Valid Inference: Continuous Monitoring of A/B Tests, Operations Research
2022; the beta-binomial mixture of Howard, Ramdas, McAuliffe, Sekhon, Time-uniform, Nonparametric,
Nonasymptotic Confidence Sequences, Annals of Statistics 2021, one-sided).
"""

import math


def log_evidence(events: int, trials: int, most: float) -> float:
    """Return ln of the e-value against "each trial is an event with probability `most` or less".

    E = ∫ (p/m)^k ((1-p)/(1-m))^(n-k) dp / (1-m), p from m to 1, for k events in n trials: the
    likelihood ratio of p against m, averaged uniformly over all greater p. Each ratio is a
    supermartingale for any true probability up to m, also one that changes from trial to trial,
    since its mean factor is 1 + (q-m)(p-m)/(m(1-m)) ≤ 1 for q ≤ m.

    Args:
        events: k, an integer.
        trials: n ≥ k.
        most: m, strictly between 0 and 1.
    """
    from scipy.special import betaincc, betaln

    others = trials - events
    tail = float(betaincc(events + 1, others + 1, most))
    if tail <= 0.0:  # underflow of a double: no evidence
        return -math.inf
    mixed = float(betaln(events + 1, others + 1)) + math.log(tail) - math.log1p(-most)
    return mixed - events * math.log(most) - others * math.log1p(-most)


def trials_share(share: float, ratio: float) -> float:
    """Return the largest probability that an event is in one arm, by its share of the trials.

    Where each trial is assigned to the arm with probability `share`, and the arm's events are at
    most `ratio` times as probable as the other's, an event is in the arm with probability at most
    s·r / (s·r + 1 - s), whatever the overall event rate at that time.
    """
    return share * ratio / (share * ratio + 1 - share)
