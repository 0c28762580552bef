"""From a PEDE workbook to the modelling dataset: one row per student and pair of years t → t+1.

`python -m mlflow_project.make_dataset --source PEDE.xlsx` writes the Parquet file and, beside it,
what reading the workbook cost. Features are what year t's sheet says; the target alone is from t+1.
`--labels PEDE2025.xlsx` writes the late labels that monitoring waits for instead (`late_labels`).
"""

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from core.contract.names import configure_mlflow_environment
from core.contract.pseudonym import pseudonym
from core.files.whole import replacing
from mlflow_project.pede import FEATURE_NAMES, ReadingReport, read_workbook
from mlflow_project.pede.errors import DataError, OutputError, PairError

DEFAULT_OUTPUT = Path("data/processed/modeling_dataset.parquet")
DEFAULT_LABELS = Path("data/processed/labels.parquet")
STUDENT = "student"
YEAR = "reference_year"
TARGET = "em_risco"
GROUPS: tuple[str, ...] = ("genero", "instituicao")
"""Columns by which fairness is looked at; never features."""
DATASET_COLUMNS: tuple[str, ...] = (STUDENT, YEAR, *FEATURE_NAMES, *GROUPS, TARGET)
READING_ARTIFACT = "data/reading_report.json"


def build_dataset(students: pd.DataFrame, pseudonym_key: str | None) -> pd.DataFrame:
    """Return the dataset (`DATASET_COLUMNS`), in an order that does not depend on the RA.

    `students` is what `read_workbook` returns. `student` is the pseudonym under the key or, without
    one, an ordinal of this workbook; `reference_year` is t; `em_risco` is 1 where the lag of t+1 is
    negative. A student seen in t but not in t+1 has no row.
    """
    outcome = students[["ra", "ano", "defasagem"]].rename(columns={"defasagem": "next_lag"})
    outcome["ano"] -= 1
    pairs = students.merge(outcome, on=["ra", "ano"], validate="one_to_one")
    identities = _pseudonyms(students["ra"], pseudonym_key)
    pairs[STUDENT] = pairs["ra"].map(identities).astype("str")
    pairs[YEAR] = pairs["ano"].astype("int64")
    pairs[TARGET] = (pairs["next_lag"] < 0).astype("int64")
    # The sheet of 2022 gives the age that a child reaches in the year, later ones the age on some
    # day of it: one definition for all, or the same child would be a year younger from 2023 on.
    pairs["idade"] = (pairs["ano"] - pairs["ano_nascimento"]).fillna(pairs["idade"])
    dataset = pairs[list(DATASET_COLUMNS)]
    return dataset.sort_values([YEAR, STUDENT]).reset_index(drop=True)


def make_dataset(source: Path, output: Path, pseudonym_key: str | None) -> ReadingReport:
    """Read the workbook, write the dataset and its report; each appears whole or not at all.

    Raises:
        DataError: the workbook cannot be read, no student has two consecutive years, or the files
            cannot be written.
    """
    students, report = read_workbook(source)
    dataset = build_dataset(students, pseudonym_key)
    if dataset.empty:
        raise PairError(source, sorted({int(year) for year in students["ano"]}))
    content = {"reading": report.to_dict(), "pairs": count_pairs(dataset)}
    text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
    try:
        with replacing(report_path(output)) as path:
            path.write_text(text, encoding="utf-8")
        with replacing(output) as path:
            dataset.to_parquet(path, index=False)
    except OSError as exc:
        raise OutputError(output, exc.strerror or type(exc).__name__) from exc
    return report


def report_path(output: Path) -> Path:
    """Return where the reading report of a dataset lies: `<name>.report.json` beside it."""
    return output.with_name(f"{output.stem}.report.json")


def count_pairs(dataset: pd.DataFrame) -> list[dict[str, Any]]:
    """Return per reference year the pairs t → t+1 and the share of them at risk in t+1."""
    by_year = dataset.groupby(YEAR)[TARGET].agg(["size", "mean"])
    return [
        {"reference_year": int(year), "pairs": int(size), "share_at_risk": round(float(share), 4)}
        for year, size, share in by_year.itertuples()
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0, or 2 where the data cannot be had."""
    options = _parser().parse_args(arguments)
    if options.labels is not None:
        return _labels(options.labels, options.output or DEFAULT_LABELS)
    options.output = options.output or DEFAULT_OUTPUT
    try:
        report = make_dataset(options.source, options.output, os.environ.get("PSEUDONYM_KEY"))
    except DataError as exc:
        sys.stderr.write(f"erro: {exc}\n")
        return 2
    content = json.loads(report_path(options.output).read_text(encoding="utf-8"))
    sys.stdout.write(f"{report.table()}\n\n{_summary(content['pairs'], options.output)}\n")
    _log_to_run(os.environ.get("MLFLOW_RUN_ID"), content)
    return 0


def _labels(workbook: Path, output: Path) -> int:
    from mlflow_project.dataset.late_labels import write_labels

    try:
        told = write_labels(workbook, output, os.environ.get("PSEUDONYM_KEY"))
    except DataError as exc:
        sys.stderr.write(f"erro: {exc}\n")
        return 2
    sys.stdout.write(f"{told}\n")
    return 0


def _pseudonyms(ra: pd.Series, key: str | None) -> dict[str, str]:
    """Map each RA to its pseudonym, or to an ordinal in an order no RA alone gives away."""
    distinct = sorted(set(ra))
    if key:
        return {identity: pseudonym(identity, key) for identity in distinct}
    salt = hashlib.sha256("\n".join(distinct).encode()).digest()
    shuffled = sorted(distinct, key=lambda one: hashlib.sha256(salt + one.encode()).digest())
    return {identity: f"aluno-{number:06d}" for number, identity in enumerate(shuffled, start=1)}


def _summary(pairs: Sequence[dict[str, Any]], output: Path) -> str:
    lines = [
        f"{p['reference_year']} → {p['reference_year'] + 1}: {p['pairs']} estudantes, "
        f"{p['share_at_risk']:.0%} em risco no ano seguinte"
        for p in pairs
    ]
    return "\n".join([*lines, f"Gravado: {output} e {report_path(output).name}"])


def _log_to_run(run_id: str | None, content: dict[str, Any]) -> None:
    """Log the report to the run that `mlflow run` started; on its own the command needs no MLflow.

    MLflow takes seconds to import, hence here.
    """
    if not run_id:
        return
    configure_mlflow_environment()
    from mlflow import MlflowClient

    MlflowClient().log_dict(run_id, content, READING_ARTIFACT)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mlflow_project.make_dataset",
        description="Lê a planilha PEDE e grava o conjunto de modelagem: uma linha por estudante e "
        "par de anos, sem nome e sem RA. Com PSEUDONYM_KEY no ambiente, cada estudante tem o mesmo "
        "pseudônimo em todas as execuções; sem ela, um número que só vale para esta planilha.",
    )
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--source", type=Path, help="planilha PEDE (.xlsx): conjunto de modelagem")
    given.add_argument(
        "--labels",
        type=Path,
        help="planilha PEDE (.xlsx) do ano seguinte: resultados (labels) para "
        "monitoring.performance_report; exige PSEUDONYM_KEY, a mesma da API",
    )
    parser.add_argument(
        "--output",
        type=Path,
        help=f"Parquet; padrão: {DEFAULT_OUTPUT}, com --labels {DEFAULT_LABELS}",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
