"""Plots of an evaluation, drawn for the MLflow UI."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix, precision_recall_curve, roc_curve

from core.messages import _
from core.messages.formats import number
from core.metrics.calibration import calibration
from mlflow_project.modelling.threshold import CAPACITY, trade_off
from mlflow_project.modelling.training import Evaluation

BLUE, GREY, RED = "#1f5fa8", "#9aa3ad", "#b3261e"


def draw_plots(evaluation: Evaluation) -> dict[str, Figure]:
    """Return figures by file name, all of the test rows except the trade-off (out-of-fold scores).

    The figures are made without pyplot: no global state to close, no display needed.
    """
    drawings: dict[str, Callable[[Axes, Evaluation], None]] = {
        "roc.png": _roc,
        "precision_recall.png": _precision_recall,
        "reliability.png": _reliability,
        "threshold_tradeoff.png": _tradeoff,
        "confusion_matrix.png": _confusion,
    }
    figures = {}
    for name, draw in drawings.items():
        figures[name], axes = _figure()
        draw(axes, evaluation)
        if name != "confusion_matrix.png":
            axes.grid(alpha=0.25)
            axes.spines[["top", "right"]].set_visible(False)
    return figures


def draw_importance(weights: pd.DataFrame) -> Figure:
    """Draw the table of `importances`: one bar per feature, with its spread over shuffles."""
    figure, axes = _figure()
    shown = weights.iloc[::-1]
    axes.barh(shown["feature"], shown["roc_auc_loss"], xerr=shown["spread"], color=BLUE)
    axes.axvline(0, color=GREY, linewidth=1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set(
        title=_("Permutation importance (test)"),
        xlabel=_("ROC-AUC lost when the column is shuffled"),
    )
    return figure


def _figure() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.6, 4.4), dpi=110, layout="constrained")
    return figure, figure.subplots()


def _roc(axes: Axes, evaluation: Evaluation) -> None:
    false, true, _thresholds = roc_curve(evaluation.target, evaluation.scores)
    axes.plot(false, true, color=BLUE)
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
    title = _("ROC in the test (area {area})", area=number(evaluation.metrics["roc_auc"], 3))
    axes.set(title=title, xlabel=_("False positives"), ylabel=_("Recall"))


def _precision_recall(axes: Axes, evaluation: Evaluation) -> None:
    precision, recall, _thresholds = precision_recall_curve(evaluation.target, evaluation.scores)
    axes.plot(recall, precision, color=BLUE, label=_("model"))
    chosen, simple = evaluation.metrics, evaluation.persistence
    axes.plot(chosen["recall"], chosen["precision"], "o", color=RED, label=_("threshold served"))
    axes.plot(simple["recall"], simple["precision"], "s", color=GREY, label=_("persistence"))
    axes.legend(frameon=False)
    title = _("Precision and recall in the test (area {area})", area=number(chosen["pr_auc"], 3))
    axes.set(title=title, xlabel=_("Recall"), ylabel=_("Precision"), ylim=(0, 1.02))


def _reliability(axes: Axes, evaluation: Evaluation) -> None:
    bins = calibration(evaluation.target, evaluation.scores)
    said, seen = ([getattr(b, side) for b in bins] for side in ("mean_score", "positive_rate"))
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
    axes.plot(said, seen, "o-", color=BLUE)
    brier, ece = evaluation.metrics["brier"], evaluation.metrics["ece"]
    title = _(
        "Calibration in the test (Brier {brier}, ECE {ece})",
        brier=number(brier, 3),
        ece=number(ece, 3),
    )
    axes.set(title=title, xlabel=_("Risk said"), ylabel=_("Share that came true"))


def _tradeoff(axes: Axes, evaluation: Evaluation) -> None:
    curve = trade_off(evaluation.train_target, evaluation.train_scores)
    for key, label, color in (
        ("recall", _("Recall"), BLUE),
        ("precision", _("Precision"), GREY),
        ("share_planned", _("share flagged (planned)"), RED),
    ):
        axes.plot(curve["threshold"], curve[key], label=label, color=color)
    axes.axvline(evaluation.threshold, color="black", linewidth=1, linestyle=":")
    axes.axhline(CAPACITY, color=RED, linewidth=1, linestyle="--", label=_("capacity"))
    axes.legend(frameon=False)
    axes.set(title=_("Thresholds (training, out of sample)"), xlabel=_("Threshold"), ylim=(0, 1.02))


def _confusion(axes: Axes, evaluation: Evaluation) -> None:
    flagged = evaluation.scores >= evaluation.threshold
    counts = confusion_matrix(evaluation.target, flagged, labels=[0, 1])
    axes.imshow(counts, cmap="Blues", vmax=counts.max() * 1.6)
    for row, column in np.ndindex(2, 2):
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=14)
    axes.set_xticks([0, 1], [_("not flagged"), _("flagged")])
    axes.set_yticks([0, 1], [_("not lagging"), _("lagging")])
    axes.set(title=_("Test: next year and prediction"))
