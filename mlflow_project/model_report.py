"""The model report in Markdown and Portuguese: what an operator reads before a deploy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlflow_project.contract.model import ModelContract
from mlflow_project.criteria import Criterion
from mlflow_project.training import Evaluation

_METRICS = (
    ("roc_auc", "ROC-AUC"),
    ("pr_auc", "PR-AUC"),
    ("brier", "Brier"),
    ("recall", "Recall"),
    ("precision", "Precisão"),
    ("f2", "F2"),
    ("share_flagged", "Parcela sinalizada"),
)


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """What the report states besides the evaluation."""

    contract: ModelContract
    evaluation: Evaluation
    criteria: Sequence[Criterion]
    params: Mapping[str, str | int | float]
    run_id: str


def headline(release: str, evaluation: Evaluation, threshold: float) -> str:
    """Return one line that says it all; the UI's list of versions shows it raw."""
    m = evaluation.metrics
    return (
        f"{release}: recall {m['recall']:.2f}, precisão {m['precision']:.2f}, "
        f"sinaliza {m['share_flagged']:.0%}, ROC-AUC {m['roc_auc']:.3f} no teste; "
        f"limiar {threshold:.4f}"
    )


def write_report(facts: ReportFacts) -> str:
    """Return the report as Markdown."""
    contract, evaluation = facts.contract, facts.evaluation
    passed = all(criterion.passed for criterion in facts.criteria)
    verdict = "APROVADA" if passed else "REPROVADA"
    return "\n".join(
        [
            f"# Relatório do modelo {contract.release}",
            "",
            f"**{verdict} nos critérios de promoção.** "
            + headline(contract.release, evaluation, contract.threshold)
            + ".",
            "",
            "## Desempenho do ajuste de avaliação",
            "",
            f"Divisão {evaluation.split}; {len(evaluation.test)} estudantes no teste. O ajuste de "
            "avaliação não viu nenhuma linha do teste. Persistência é a regra «em defasagem agora, "
            "em defasagem no ano seguinte».",
            "",
            *_metrics_table(evaluation),
            "",
            "## Critérios de promoção",
            "",
            *_criteria_table(facts.criteria),
            "",
            "## Limiar",
            "",
            f"- Servido: **{contract.threshold:.6f}**, "
            f"regra `{contract.threshold_policy.get('rule')}`.",
            "- Depois do teste, o modelo foi reajustado com todos os pares de anos. O limiar "
            "servido vem de escores fora da amostra (validação cruzada agrupada por estudante) "
            "sobre todas as linhas, pela mesma política.",
            f"- O ajuste de avaliação usou {evaluation.threshold:.6f}.",
            "",
            "## Entradas",
            "",
            "| feature | unidade | mínimo | máximo | descrição |",
            "|---|---|---|---|---|",
            *[
                f"| `{f.name}` | {f.unit} | {f.min:g} | {f.max:g} | {f.description} |"
                for f in contract.features
                if f.min is not None and f.max is not None
            ],
            "",
            "## Procedência",
            "",
            f"- Run do MLflow: `{facts.run_id}`",
            *[f"- {name}: `{value}`" for name, value in facts.params.items()],
            "",
        ]
    )


def _metrics_table(evaluation: Evaluation) -> list[str]:
    rows = [
        "| métrica | modelo (teste) | persistência (teste) | modelo (fora da amostra, treino) |"
    ]
    rows.append("|---|---|---|---|")
    for key, label in _METRICS:
        simple = evaluation.persistence.get(key)
        shown = "–" if simple is None else f"{simple:.3f}"
        rows.append(
            f"| {label} | {evaluation.metrics[key]:.3f} | {shown} "
            f"| {evaluation.train_metrics[key]:.3f} |"
        )
    return rows


def _criteria_table(criteria: Sequence[Criterion]) -> list[str]:
    rows = ["| critério | medido | exigido | resultado |", "|---|---|---|---|"]
    for c in criteria:
        result = "passou" if c.passed else "**não passou**"
        rows.append(f"| `{c.name}` | {c.found} | {c.wanted} | {result} |")
    return rows
