"""Make the modelling dataset of a PEDE workbook: one row per student and pair of years t → t+1.

`python -m mlflow_project.make_dataset --source PEDE.xlsx` writes the Parquet file and, beside it,
the reading report. Features come from year t's sheet; only the target is from t+1.
With `--labels PEDE2025.xlsx` it writes the late labels for monitoring instead (`late_labels`).
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.cli import arguments
from core.contract.names import configure_mlflow_environment
from core.messages import _, formats, ngettext
from mlflow_project.dataset.late_labels import write_labels
from mlflow_project.dataset.output import file_to_write
from mlflow_project.dataset.pairs import build_dataset, count_pairs
from mlflow_project.pede import ReadingReport, read_workbook
from mlflow_project.pede.errors import PairError

DEFAULT_OUTPUT = Path("data/processed/modeling_dataset.parquet")
DEFAULT_LABELS = Path("data/processed/labels.parquet")
READING_ARTIFACT = "data/reading_report.json"


def make_dataset(source: Path, output: Path, pseudonym_key: str | None) -> ReadingReport:
    """Read the workbook; write the dataset and its report, each atomically.

    Raises:
        DataError: the workbook cannot be read, no student has two consecutive years, or the files
            cannot be written.
    """
    students, report = read_workbook(source)
    dataset = build_dataset(students, pseudonym_key)
    if dataset.empty:
        years = ", ".join(str(year) for year in sorted(set(students["ano"])))
        raise PairError(source=source, years=years)
    content = {"reading": report.to_dict(), "pairs": count_pairs(dataset, students)}
    text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
    with file_to_write(report_path(output)) as path:
        path.write_text(text, encoding="utf-8")
    with file_to_write(output) as path:
        dataset.to_parquet(path, index=False)
    return report


def report_path(output: Path) -> Path:
    """Return the path of a dataset's reading report: `<name>.report.json` beside it."""
    return output.with_name(f"{output.stem}.report.json")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0, or 2 if the data cannot be read or written."""
    options = _parser().parse_args(argv)
    if options.labels is not None:
        output = options.output or DEFAULT_LABELS
        return arguments.run_command(lambda: _labels(options.labels, output, options.year))
    return arguments.run_command(lambda: _dataset(options.source, options.output or DEFAULT_OUTPUT))


def _dataset(source: Path, output: Path) -> None:
    report = make_dataset(source, output, os.environ.get("PSEUDONYM_KEY"))
    content = json.loads(report_path(output).read_text(encoding="utf-8"))
    written = _("Written: {path} and {report}", path=output, report=report_path(output).name)
    arguments.say(report.table(), "", *_summary(content["pairs"]), written)
    _log_to_run(os.environ.get("MLFLOW_RUN_ID"), content)


def _labels(workbook: Path, output: Path, year: int | None) -> None:
    labels = write_labels(workbook, output, os.environ.get("PSEUDONYM_KEY"), year)
    command = f"python -m monitoring.performance_report --labels {output}"
    arguments.say(
        ngettext(
            "Sheet PEDE{year}: {n} student, {share} lagging",
            "Sheet PEDE{year}: {n} students, {share} lagging",
            len(labels),
            year=labels["outcome_year"].iloc[0],
            share=formats.percent(labels["target"].mean(), 0),
        ),
        _("Written: {path}", path=output),
        _("Next step: {command}", command=command),
    )


def _summary(pairs: Sequence[dict[str, Any]]) -> list[str]:
    """Return a line for each pair of years."""
    return [
        ngettext(
            "{year} → {next}: {n} student ({again} of {year} reappear), {share} at risk in the "
            "next year",
            "{year} → {next}: {n} students ({again} of {year} reappear), {share} at risk in the "
            "next year",
            pair["pairs"],
            year=pair["reference_year"],
            next=pair["reference_year"] + 1,
            again=formats.percent(pair["share_reappearing"], 0),
            share=formats.percent(pair["share_at_risk"], 0),
        )
        for pair in pairs
    ]


def _log_to_run(run_id: str | None, content: dict[str, Any]) -> None:
    """Log the report to the run that `mlflow run` started; otherwise MLflow is not needed."""
    if not run_id:
        return
    configure_mlflow_environment()
    from mlflow import MlflowClient  # takes seconds

    MlflowClient().log_dict(run_id, content, READING_ARTIFACT)


def _parser() -> arguments.Parser:
    text = _(
        "Reads the PEDE workbook and writes the modelling dataset: one row per student and pair of "
        "years, without name and without RA. With PSEUDONYM_KEY in the environment each student "
        "has the same pseudonym in all runs; without it, a number that holds for this workbook "
        "only."
    )
    parser = arguments.parser("mlflow_project.make_dataset", text)
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--source", type=Path, help=_("PEDE workbook (.xlsx): modelling dataset"))
    given.add_argument(
        "--labels",
        type=Path,
        help=_(
            "PEDE workbook (.xlsx) of the next year: outcomes (labels) for "
            "monitoring.performance_report; needs PSEUDONYM_KEY, the same as the API's"
        ),
    )
    parser.add_argument(
        "--year",
        type=arguments.year,
        help=_("with --labels: year of the sheet (default: the newest)"),
    )
    parser.add_argument(
        "--output",
        type=Path,
        help=_(
            "Parquet; default: {dataset}, with --labels {labels}",
            dataset=DEFAULT_OUTPUT,
            labels=DEFAULT_LABELS,
        ),
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
