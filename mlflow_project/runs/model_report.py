"""The model report in Markdown and Portuguese: what an operator reads before a deploy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.cli.progress import STEPS, Clock
from core.contract.model import ModelContract
from core.metrics.resampling import Interval
from mlflow_project.modelling.selection import Selection
from mlflow_project.modelling.training import Evaluation
from mlflow_project.versions.criteria import Criterion

_METRICS = (
    ("roc_auc", "ROC-AUC"),
    ("pr_auc", "PR-AUC"),
    ("brier", "Brier"),
    ("log_loss", "Perda logarítmica"),
    ("ece", "Erro de calibração (ECE)"),
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
    selection: Selection
    intervals: Mapping[str, Interval]
    row_ms: float


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
            *_metrics_table(evaluation, facts.intervals),
            "",
            "## Escolha da família",
            "",
            *_selection_text(facts),
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
            f"- O ajuste de avaliação usou {evaluation.threshold:.6f}, regra `{evaluation.rule}`, "
            "escolhido nos escores fora da amostra do treino.",
            "- Política: recall de ao menos "
            f"{contract.threshold_policy['min_recall']:.0%} com o menor número de sinalizados, "
            f"dentro da capacidade de {contract.threshold_policy['max_share_flagged']:.0%}, "
            f"contada num ano com {contract.threshold_policy['base_rate']:.0%} em risco; se não "
            "couber (`best_f_beta`), o melhor F2 dentro dela. A curva está no artefato "
            "`evaluation/threshold_tradeoff.json`.",
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
            "## Conferência",
            "",
            "O estudante inventado do contrato (artefato `input_example.json`) recebe "
            f"{contract.example.score if contract.example else float('nan'):.12f}; a API deve dar "
            "o mesmo. O escore do modelo servido para cada linha está em "
            "`evaluation/training_rows.parquet`.",
            "",
            "## Procedência",
            "",
            f"- Run do MLflow: `{facts.run_id}`",
            *[f"- {name}: `{value}`" for name, value in facts.params.items()],
            "",
        ]
    )


def _metrics_table(evaluation: Evaluation, intervals: Mapping[str, Interval]) -> list[str]:
    rows = [
        "| métrica | modelo (teste) | intervalo de 95 % | persistência (teste) "
        "| modelo (fora da amostra, treino) |",
        "|---|---|---|---|---|",
    ]
    for key, label in _METRICS:
        simple = evaluation.persistence.get(key)
        shown = "–" if simple is None else f"{simple:.3f}"
        interval = intervals.get(key)
        ends = "–" if interval is None else f"{interval.low:.3f} a {interval.high:.3f}"
        rows.append(
            f"| {label} | {evaluation.metrics[key]:.3f} | {ends} | {shown} "
            f"| {evaluation.train_metrics[key]:.3f} |"
        )
    return rows


def _selection_text(facts: ReportFacts) -> list[str]:
    selection = facts.selection
    rows = [
        "Validação cruzada agrupada por estudante, só nos pares de anos do treino; o ano de teste "
        "não teve parte na escolha. Das famílias que a API compila vale o menor Brier, e a mais "
        "simples a menos de um erro padrão dele.",
        "",
        "| família | Brier | ROC-AUC | ECE | uma linha | compilada | tempo |",
        "|---|---|---|---|---|---|---|",
    ]
    for trial in selection.trials:
        name = trial.family.name
        name = f"**{name}**" if trial is selection.chosen else name
        rows.append(
            f"| {name} | {trial.metrics['cv_brier']:.4f} | {trial.metrics['cv_roc_auc']:.3f} "
            f"| {trial.metrics['cv_ece']:.3f} | {trial.row_ms:.1f} ms "
            f"| {'sim' if trial.family.compiled else 'não'} | {trial.seconds:.1f} s |"
        )
    rows += ["", *[f"- {reason[0].upper()}{reason[1:]}." for reason in selection.reasons]]
    if selection.untried:
        left = ", ".join(family.name for family in selection.untried)
        rows.append(f"- Não tentadas, por falta de tempo: {left}.")
    rows.append(
        f"- Uma linha do modelo servido custou {facts.row_ms:.2f} ms no scikit-learn; a API o "
        "compila."
    )
    return rows


def times_section(clock: Clock) -> str:
    """Return the report's last section: where the time of the training went."""
    rows = ["## Tempo", "", "| passo | segundos | parcela |", "|---|---|---|"]
    shares = clock.shares()
    for step, seconds in clock.seconds.items():
        rows.append(f"| {STEPS[step]} | {seconds:.1f} | {shares[step]:.0%} |")
    rows.append(f"| total | {sum(clock.seconds.values()):.1f} | |")
    return "\n" + "\n".join(rows) + "\n"


def _criteria_table(criteria: Sequence[Criterion]) -> list[str]:
    rows = ["| critério | medido | exigido | resultado |", "|---|---|---|---|"]
    for c in criteria:
        result = "passou" if c.passed else "**não passou**"
        rows.append(f"| `{c.name}` | {c.found} | {c.wanted} | {result} |")
    return rows
