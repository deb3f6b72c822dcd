"""Standard output that fails with one error message, and that may lose its reader."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator
from typing import Any

from toytip.errors import ToytipError


class TolerantStdout(io.FileIO):
    """The file of stdout. After a failure, it ignores all further output."""

    failed = False

    def write(self, content: Any) -> int:
        """Write to stdout. If its reader is gone, ignore the output, so that the command continues.

        Raises ToytipError for any other failure.
        """
        size = memoryview(content).nbytes
        if self.failed:
            return size
        try:
            return super().write(content)
        except BrokenPipeError:
            self.failed = True
            return size
        except OSError as error:
            self.failed = True
            reason = (error.strerror or type(error).__name__).lower()
            raise ToytipError(
                f"cannot write to stdout: {reason}", hint="Redirect the output to another file."
            ) from None


@contextlib.contextmanager
def tolerant_stdout() -> Iterator[None]:
    """Let Python write to a `TolerantStdout`.

    Characters that it cannot encode become question marks.
    """
    original = sys.__stdout__
    if original is None or sys.stdout is not original:  # closed or redirected
        yield
        return
    original.flush()
    file = TolerantStdout(original.fileno(), "w", closefd=False)
    with (
        io.TextIOWrapper(
            io.BufferedWriter(file),
            original.encoding,
            "replace",
            line_buffering=original.line_buffering,
            write_through=original.write_through,
        ) as text,
        contextlib.redirect_stdout(text),
    ):
        yield
        text.flush()


def stdout_closed() -> bool:
    """Return whether the reader of stdout is gone."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return isinstance(raw, TolerantStdout) and raw.failed
