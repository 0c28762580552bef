"""Batch scoring of a file on this machine: every row is validated before the first is scored."""

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from core.files.whole import replacing
from core.messages import _, ngettext
from core.store.arrow_types import ARROW_TYPES
from core.tables.reading import OpenTable, Row, open_table
from core.tables.writing import table_writer
from serving.batch.columns import answer_column
from serving.engine.context import RequestContext
from serving.engine.job import Job, settle
from serving.errors import FileRefused, InvalidInstances
from serving.following.served import ServedModel
from serving.http.predict import prediction_rows
from serving.protocol.csv_input import types_of
from serving.protocol.instances import Instances

_MAX_LINES = 100


class FileScorer:
    """Scorer of one file, a table of `core.tables.reading`, with one version.

    `chunk` rows are scored per call. The columns in `keep` are no features and are copied to the
    output unchanged; `period` is the year of all rows, a row that states another one is refused.
    """

    def __init__(
        self,
        model: ServedModel,
        source: Path | str,
        chunk: int,
        keep: frozenset[str] = frozenset(),
        period: int | None = None,
    ) -> None:
        """Store the arguments; nothing is read before `check`."""
        self._model, self._source, self._chunk = model, source, chunk
        self._keep, self._period = keep, period

    @cached_property
    def table(self) -> OpenTable:
        """Return the opened file.

        Raises:
            UnreadableTable: it is not a readable table.
        """
        return open_table(self._source)

    def check(self) -> int:
        """Validate every row against the contract and return the number of rows.

        Raises:
            FileRefused: there are no rows, or some do not fit; lists row, field, problem and
                allowed values.
        """
        lines: list[str] = []
        rows = problems = 0
        for chunk in self._chunks():
            try:
                self._read(chunk)
            except InvalidInstances as exc:
                problems += exc.total
                lines += [_line(rows, detail) for detail in exc.details]
            rows += len(chunk)
        if not rows:
            raise FileRefused(problem=_("the file has no rows"))
        if problems:
            text = ngettext(
                "{n} problem; nothing was scored. The first:",
                "{n} problems; nothing was scored. The first ones:",
                problems,
            )
            raise FileRefused(problem="\n".join([text, *lines[:_MAX_LINES]]))
        return rows

    def score(
        self, output: Path, capture: Callable[[Sequence[Job]], None], excel_br: bool = False
    ) -> Iterator[int]:
        """Write the rows with their outputs to a table; yield the rows done after each chunk.

        The file appears by an atomic rename after the last row, or not at all.

        Raises:
            ServingError: the model failed, or rows could not be captured and must be.
            OSError: the output cannot be written.
        """
        run, done, writer, schema = uuid.uuid4().hex, 0, None, None
        with replacing(output) as temporary, ExitStack() as opened:
            for number, chunk in enumerate(self._chunks()):
                rows = self._scored(chunk, f"batch-{run}-{number:06d}", capture)
                table = pa.Table.from_pylist(rows, schema=schema)
                if writer is None:
                    schema = self._schema(table.schema)
                    table = table.cast(schema)
                    writer = opened.enter_context(table_writer(temporary, output, schema, excel_br))
                writer.write(table)
                done += len(chunk)
                yield done

    def _chunks(self) -> Iterator[list[Row]]:
        types = types_of(self.table.names, self._model.version.contract.features)
        return self.table.chunks(self._chunk, types)

    def _read(self, chunk: Sequence[Row]) -> Instances:
        """Return a chunk as validated instances; raises InvalidInstances."""
        rows = [{k: v for k, v in row.items() if k not in self._keep} for row in chunk]
        return self._model.version.validator.read_instances(rows, self._period)

    def _scored(
        self, chunk: Sequence[Row], request_id: str, capture: Callable[[Sequence[Job]], None]
    ) -> list[dict[str, Any]]:
        """Score and capture a chunk, and return its rows with their outputs."""
        model, names = self._model, self._model.version.contract.feature_names
        inputs = self._inputs
        about = {"model_version": model.release, "threshold": model.threshold}
        job = Job(model, self._read(chunk), RequestContext(request_id.encode()))
        settle([job])
        capture([job])
        return [
            {
                **{name: value for name, value in source.items() if name in self._keep},
                **dict(zip(names, row, strict=True)),
                **{answer_column(key, inputs): v for key, v in (output | about).items()},
            }
            for source, row, output in zip(
                chunk, job.instances.rows, prediction_rows(job), strict=True
            )
        ]

    @cached_property
    def _inputs(self) -> frozenset[str]:
        """Return the columns of the output file that are not outputs: kept ones and features."""
        kept = self._keep & frozenset(self.table.names)
        return kept | frozenset(self._model.version.contract.feature_names)

    def _schema(self, found: pa.Schema) -> pa.Schema:
        """Return the file's schema, with contract types for columns all null in the first chunk."""
        known = {f.name: ARROW_TYPES[f.type] for f in self._model.version.contract.features}
        known |= {answer_column("threshold", self._inputs): ARROW_TYPES["double"]}
        return pa.schema([pa.field(f.name, known.get(f.name, f.type)) for f in found])


def _line(before: int, detail: Mapping[str, Any]) -> str:
    """Return one problem as a line; `before` is the number of rows in earlier chunks."""
    found = f"{detail['field'] or ''} {detail['problem']} ({detail['allowed']})"
    if detail["instance"] is None:
        return f"  {found}"
    number = before + detail["instance"] + 1
    return "  " + _("row {number}: {problem}", number=number, problem=found)
