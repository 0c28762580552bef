"""The model card: what a director and an operator read before a version is served."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from core.cli.progress import STEPS, Clock
from core.contract.model import ModelContract
from core.messages import N_, _
from core.messages.formats import NONE, number, percent, signed
from core.metrics.resampling import Interval
from mlflow_project.gate.criteria import Criterion, capacity_question
from mlflow_project.modelling.groups import group_name
from mlflow_project.modelling.splits import HELD, SHOWN
from mlflow_project.modelling.training import Evaluation
from mlflow_project.runs.document import bullets, section, table
from mlflow_project.runs.fitting import Fits

TERMS: Mapping[str, tuple[str, str]] = {
    "recall": (N_("Recall"), N_("share of those who lagged that were flagged")),
    "precision": (N_("Precision"), N_("share of the flagged who lagged")),
    "f2": (N_("F2"), N_("recall and precision in one number, recall counting four times as much")),
    "share_flagged": (N_("Share flagged"), N_("of all children")),
    "roc_auc": (
        N_("ROC-AUC"),
        N_("of a child who lagged and one who did not, how often the first has the higher score"),
    ),
    "pr_auc": (N_("PR-AUC"), N_("mean precision over all thresholds")),
    "brier": (N_("Brier score"), N_("mean squared distance of score and outcome; 0 is best")),
    "log_loss": (N_("Log loss"), N_("as the Brier score, but harder on wrong certainty")),
    "ece": (
        N_("Calibration error (ECE)"),
        N_("mean distance of the risk said and the share that came true; 0 is best"),
    ),
    "positive_rate": (N_("Share at risk"), N_("of all children")),
}
"""Metrics in the order of the report: name and what it means, explained where it first stands."""

INTENDED = (
    N_("For deciding whom to look at first: a list of children in the order of their risk of "
       "lagging in the next year, for coordinators who know them."),
    N_("**The decision stays with people.** A score is no diagnosis; no child gets or loses "
       "anything because of it alone."),
    N_("Not for marks, admission, exclusion, or for comparing teachers or schools."),
    N_("Not for children of another programme, nor for a horizon other than one year."),
    N_("Not for saying why a child lags: what raises a score goes along with lagging and need not "
       "cause it."),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """What the report states.

    `pairs` holds for each reference year its students, those found again and the share at risk.
    """

    contract: ModelContract
    fits: Fits
    params: Mapping[str, str | int | float]
    run_id: str
    intervals: Mapping[str, Interval]
    groups: pd.DataFrame
    pairs: Sequence[Mapping[str, float]]
    absent: Mapping[int, Sequence[str]]
    row_ms: float


def headline(release: str, evaluation: Evaluation) -> str:
    """Return one line that says it all; the UI's list of versions shows it raw."""
    m = evaluation.metrics
    return _(
        "{release}: recall {recall}, precision {precision}, flags {share}, ROC-AUC {auc} in the "
        "test; threshold {threshold}",
        release=release,
        recall=number(m["recall"], 2),
        precision=number(m["precision"], 2),
        share=percent(m["share_flagged"], 0),
        auc=number(m["roc_auc"], 3),
        threshold=number(evaluation.threshold, 4),
    )


def model_card(facts: ReportFacts) -> str:
    """Return the model card, what a director reads first, as Markdown."""
    title = _("Model card {release}", release=facts.contract.release)
    sections = [
        f"# {title}",
        _verdict(facts),
        section(_("What it is for, and what it is not for"), bullets([_(t) for t in INTENDED])),
        _performance(facts),
        _repeated(facts),
        _years(facts),
        _groups(facts),
        _year_change(facts),
        _criteria(facts.fits.criteria),
        _threshold(facts),
        _inputs(facts.contract),
        _provenance(facts),
    ]
    return "\n\n".join(filter(None, sections))


def split_text(evaluation: Evaluation) -> str:
    """Return how training and test rows were parted."""
    train, test = (", ".join(f"{year}→{year + 1}" for year in years) for years in evaluation.years)
    if evaluation.by_year:
        return _("by time: trained on {train}, tested on {test}", train=train, test=test)
    return _("by student: a quarter of {test} held out", test=test)


def _verdict(facts: ReportFacts) -> str:
    passed = all(criterion.passed for criterion in facts.fits.criteria)
    verdict = _("PASSES the criteria") if passed else _("DOES NOT PASS the criteria")
    m, simple = facts.fits.evaluation.metrics, facts.fits.evaluation.persistence
    in_words = _(
        "In the test, of 100 children **flagged**, {right} lagged a year later; of 100 who "
        "**lagged**, {missed} were missed. {flagged} of 100 were flagged. The rule “lagging now, "
        "so lagging next year” would have missed {simple} of 100.",
        right=round(100 * m["precision"]),
        missed=round(100 * (1 - m["recall"])),
        flagged=round(100 * m["share_flagged"]),
        simple=round(100 * (1 - simple["recall"])),
    )
    text = (
        f"**{verdict}.** {headline(facts.contract.release, facts.fits.evaluation)}.\n\n{in_words}"
    )
    if question := capacity_question(m):
        asked = _("**A question for the director.** {question}", question=question)
        text = f"{text}\n\n{asked}"
    return text


def _performance(facts: ReportFacts) -> str:
    evaluation = facts.fits.evaluation
    text = _(
        "Split {split}; {n} children tested. The fit had seen none of these rows. All numbers are "
        "those of the threshold that is served, {threshold}. Intervals (95 %) say what another "
        "draw of children of the same year could show.",
        split=split_text(evaluation),
        n=len(evaluation.test),
        threshold=number(evaluation.threshold, 4),
    )
    rows = []
    for key, (name, meaning) in TERMS.items():
        interval, simple = facts.intervals.get(key), evaluation.persistence.get(key)
        ends = f"{number(interval.low, 3)} – {number(interval.high, 3)}" if interval else NONE
        rows.append(
            [
                f"{_(name)}: {_(meaning)}",
                number(evaluation.metrics[key], 3),
                ends,
                number(simple, 3),
                number(evaluation.train_metrics[key], 3),
            ]
        )
    headings = [
        _("metric"),
        _("model (test)"),
        _("interval of 95 %"),
        _("persistence (test)"),
        _("model (training, out of sample)"),
    ]
    return section(_("What the test showed"), text, table(headings, rows))


def _repeated(facts: ReportFacts) -> str:
    splits = facts.fits.splits
    text = _(
        "One test is one draw. The whole procedure was repeated {n} times with {held} of the "
        "children held out altogether: trained on the others' older years, tested on the newest "
        "year of those held out. This is what to expect of children it does not know.",
        n=len(splits),
        held=percent(HELD, 0),
    )
    rows = [
        [
            _(TERMS[name][0]),
            number(splits[name].mean(), 3),
            number(splits[name].std(), 3),
            f"{number(splits[name].min(), 3)} – {number(splits[name].max(), 3)}",
        ]
        for name in SHOWN
    ]
    headings = [_("metric"), _("mean"), _("standard deviation"), _("range")]
    return section(_("What a test of one year can say"), text, table(headings, rows))


def _years(facts: ReportFacts) -> str:
    rows = []
    for pair in facts.pairs:
        students, pairs = pair.get("students"), int(pair["pairs"])
        left = NONE if students is None else f"{int(students) - pairs}"
        year = int(pair["reference_year"])
        lacking = ", ".join(facts.absent.get(year, ())) or NONE
        at_risk = percent(pair["share_at_risk"], 0)
        rows.append([f"{year}→{year + 1}", f"{pairs}", at_risk, left, lacking])
    text = _(
        "The share at risk changes from year to year, and nobody knows the next one. Children who "
        "left before the next year have no outcome: the model has learnt nothing of them, and what "
        "it says of a child who will leave cannot be checked."
    )
    headings = [_("years"), _("children"), _("at risk"), _("left"), _("inputs absent all year")]
    return section(_("The years it learnt from"), text, table(headings, rows))


def _groups(facts: ReportFacts) -> str:
    groups = facts.groups.astype("object").where(facts.groups.notna(), None)
    rows = [
        [
            group_name(row["column"], row["value"]),
            f"{row['rows']}",
            f"{row['positives']}",
            *(number(row[name], 2) for name in ("recall", "precision", "roc_auc")),
            percent(row["positive_rate"], 0),
            percent(row["mean_score"], 0),
        ]
        for row in groups.to_dict("records")
    ]
    text = _(
        "Of few children little can be said: groups with fewer than 30 who lagged are shown and "
        "not judged. Where “said” and “came true” differ, the scores of that group are too high or "
        "too low."
    )
    headings = [
        _("group"),
        _("children"),
        _("lagged"),
        _("recall"),
        _("precision"),
        "ROC-AUC",
        _("came true"),
        _("said"),
    ]
    return section(_("Groups of children"), text, table(headings, rows))


def _year_change(facts: ReportFacts) -> str:
    errors = facts.fits.evaluation.year_change_errors()
    if not errors:
        return ""
    text = _(
        "Before outcomes are known, monitoring states the performance that the scores promise. "
        "That holds only while a score means what it meant; when the year last changed it was off "
        "by:"
    )
    rows = [[_(TERMS[name][0]), signed(value, 3)] for name, value in errors.items()]
    shown = table([_("metric"), _("true − promised")], rows)
    return section(_("Expected performance is conditional"), text, shown)


def _criteria(criteria: Sequence[Criterion]) -> str:
    rows = [
        [f"`{c.name}`", c.found, c.wanted, _("passed") if c.passed else _("**not passed**")]
        for c in criteria
    ]
    headings = [_("criterion"), _("found"), _("wanted"), _("result")]
    return section(_("Criteria of promotion"), table(headings, rows))


def _threshold(facts: ReportFacts) -> str:
    policy = facts.contract.threshold_policy
    items = [
        _(
            "Served: **{threshold}**, the best F2 with at most {capacity} flagged in a year with "
            "{rate} at risk.",
            threshold=number(facts.contract.threshold, 6),
            capacity=percent(policy["max_share_flagged"], 0),
            rate=percent(policy["base_rate"], 0),
        ),
        _(
            "After the test the model was fitted again on all pairs of years; the threshold comes "
            "from out-of-sample scores (cross-validation grouped by student) of all rows. The "
            "curve is in the artifact `evaluation/threshold_tradeoff.json`."
        ),
    ]
    return section(_("Threshold"), bullets(items))


def _inputs(contract: ModelContract) -> str:
    rows = [
        [f"`{f.name}`", f.unit, number(f.min, 1), number(f.max, 1), f.description]
        for f in contract.features
    ]
    headings = [_("input"), _("unit"), _("minimum"), _("maximum"), _("description")]
    return section(_("Inputs"), table(headings, rows))


def _provenance(facts: ReportFacts) -> str:
    example = facts.contract.example
    score = f"{example.score:.12f}" if example else NONE
    items = [
        _("MLflow run: `{run}`", run=facts.run_id),
        _(
            "The invented student of the contract (artifact `input_example.json`) has the score "
            "{score}; the API must give the same.",
            score=score,
        ),
        _("One row costs {ms} ms in scikit-learn.", ms=number(facts.row_ms, 2)),
        *(f"{name}: `{value}`" for name, value in facts.params.items()),
    ]
    return section(_("Check and origin"), bullets(items))


def times(clock: Clock) -> str:
    """Return the report's last section: where the time of the training went."""
    shares = clock.shares()
    rows = [
        [_(STEPS[step]), number(seconds, 1), percent(shares[step], 0)]
        for step, seconds in clock.seconds.items()
    ]
    rows.append([_("total"), number(sum(clock.seconds.values()), 1), ""])
    return section(_("Time"), table([_("step"), _("seconds"), _("share")], rows))
