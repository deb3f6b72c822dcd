"""The rows of a run in the result file: each row as soon as it is measured."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from benchmarks.quality import validate_rows
from benchmarks.results import Row, replace_lines, result_file


class RunFile:
    """The lines of a run in the result file. They can be replaced, and other lines stay."""

    def __init__(self, output: Path) -> None:
        self._output = output
        self._lines: list[bytes] = []

    def replace(self, rows: list[Row]) -> None:
        """Write these rows in place of the rows that this object wrote before."""
        lines = [json.dumps(row).encode() for row in rows]
        replace_lines(result_file(self._output, rows[0]), self._lines, lines)
        self._lines = lines


class RunRows:
    """The rows of a run, which the result file has from the time when they are measured.

    Some columns of a row depend on rows that are measured later, so the rows are replaced together.
    Until the run is complete, they are marked as partial. An interrupted run keeps them.
    """

    def __init__(self, output: Path) -> None:
        self.rows: list[Row] = []
        """The rows of all repeats, with their validity."""
        self._output, self._file = output, RunFile(output)
        self._repeats: dict[int, list[Row]] = {}

    def store(self, repeat: int, rows: Iterable[Row]) -> None:
        """Write the rows of a repeat that are measured until now."""
        self._repeats[repeat] = list(rows)
        self._write(is_partial=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Mark the rows as complete. If the run was interrupted, print how many rows it has."""
        if kind is None:
            self._write(is_partial=False)
        elif self.rows:
            file = result_file(self._output, self.rows[0])
            print(
                f"The run is partial: {file} has {len(self.rows)} of its results, with the mark `partial`.",
                file=sys.stderr,
            )

    def _write(self, *, is_partial: bool) -> None:
        measured = [row for rows in self._repeats.values() for row in rows]
        self.rows = [{**row, "partial": is_partial} for row in validate_rows(measured)]
        if self.rows:
            self._file.replace(self.rows)
