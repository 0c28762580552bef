"""Plots of an evaluation, drawn for the MLflow UI; texts in Portuguese, as operators read them."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix, precision_recall_curve, roc_curve

from core.metrics.calibration import calibration
from mlflow_project.make_dataset import TARGET
from mlflow_project.modelling.threshold import CAPACITY, trade_off
from mlflow_project.modelling.training import Evaluation

BLUE, GREY, RED = "#1f5fa8", "#9aa3ad", "#b3261e"


def draw_plots(evaluation: Evaluation) -> dict[str, Figure]:
    """Return file name → figure, all on the test rows but the trade-off, which chose the threshold.

    The figures are made without pyplot: nothing global to close, no display needed.
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
        figure = Figure(figsize=(5.6, 4.4), dpi=110, layout="constrained")
        axes = figure.subplots()
        draw(axes, evaluation)
        if name != "confusion_matrix.png":
            axes.grid(alpha=0.25)
            axes.spines[["top", "right"]].set_visible(False)
        figures[name] = figure
    return figures


def draw_importance(weights: pd.DataFrame) -> Figure:
    """Draw what `importances` returned: one bar per feature, with its spread over shuffles."""
    figure = Figure(figsize=(5.6, 4.4), dpi=110, layout="constrained")
    axes = figure.subplots()
    shown = weights.iloc[::-1]
    axes.barh(shown["feature"], shown["roc_auc_loss"], xerr=shown["spread"], color=BLUE)
    axes.axvline(0, color=GREY, linewidth=1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set(
        title="Importância por permutação (teste)",
        xlabel="Perda de ROC-AUC com a coluna embaralhada",
    )
    return figure


def _target(evaluation: Evaluation) -> np.ndarray:
    return evaluation.test[TARGET].to_numpy()


def _flagged(evaluation: Evaluation) -> np.ndarray:
    return (evaluation.test["score"] >= evaluation.threshold).to_numpy()


def _roc(axes: Axes, evaluation: Evaluation) -> None:
    false, true, _ = roc_curve(_target(evaluation), evaluation.test["score"])
    axes.plot(false, true, color=BLUE)
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
    title = f"ROC no teste (área {evaluation.metrics['roc_auc']:.3f})"
    axes.set(title=title, xlabel="Falsos positivos", ylabel="Sensibilidade (recall)")


def _precision_recall(axes: Axes, evaluation: Evaluation) -> None:
    precision, recall, _ = precision_recall_curve(_target(evaluation), evaluation.test["score"])
    axes.plot(recall, precision, color=BLUE, label="modelo")
    chosen, simple = evaluation.metrics, evaluation.persistence
    axes.plot(chosen["recall"], chosen["precision"], "o", color=RED, label="limiar escolhido")
    axes.plot(simple["recall"], simple["precision"], "s", color=GREY, label="persistência")
    axes.legend(frameon=False)
    title = f"Precisão e recall no teste (área {chosen['pr_auc']:.3f})"
    axes.set(title=title, xlabel="Recall", ylabel="Precisão", ylim=(0, 1.02))


def _reliability(axes: Axes, evaluation: Evaluation) -> None:
    bins = calibration(_target(evaluation), evaluation.test["score"].to_numpy())
    said, seen = ([getattr(b, side) for b in bins] for side in ("mean_score", "positive_rate"))
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
    axes.plot(said, seen, "o-", color=BLUE)
    brier, ece = evaluation.metrics["brier"], evaluation.metrics["ece"]
    title = f"Calibração no teste (Brier {brier:.3f}, ECE {ece:.3f})"
    axes.set(title=title, xlabel="Risco previsto", ylabel="Risco observado")


def _tradeoff(axes: Axes, evaluation: Evaluation) -> None:
    curve = trade_off(evaluation.train_target, evaluation.train_scores)
    for key, label, color in (
        ("recall", "recall", BLUE),
        ("precision", "precisão", GREY),
        ("share_planned", "parcela sinalizada (planejada)", RED),
    ):
        axes.plot(curve["threshold"], curve[key], label=label, color=color)
    axes.axvline(evaluation.threshold, color="black", linewidth=1, linestyle=":")
    axes.axhline(CAPACITY, color=RED, linewidth=1, linestyle="--", label="capacidade")
    axes.legend(frameon=False)
    axes.set(
        title="Escolha do limiar (fora da amostra, no treino)", xlabel="Limiar", ylim=(0, 1.02)
    )


def _confusion(axes: Axes, evaluation: Evaluation) -> None:
    counts = confusion_matrix(_target(evaluation), _flagged(evaluation), labels=[0, 1])
    axes.imshow(counts, cmap="Blues", vmax=counts.max() * 1.6)
    for row, column in np.ndindex(2, 2):
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=14)
    axes.set_xticks([0, 1], ["não sinalizado", "sinalizado"])
    axes.set_yticks([0, 1], ["sem defasagem", "em defasagem"])
    axes.set(title="Teste: ano seguinte e previsão")
