"""A stdout that reports a failure with one message, and that ignores output without a reader."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator
from typing import Any

from toytip.errors import ToytipError


class TolerantStdout(io.FileIO):
    """The file behind `sys.stdout`. After a failure, it ignores all further output."""

    failed = False

    def write(self, content: Any) -> int:
        """Write to stdout. If the pipe is closed, ignore the output, so that the command continues.

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
    """Replace `sys.stdout` with a `TolerantStdout`.

    Characters that the encoding of stdout does not support become question marks.
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
    """Return whether writing to stdout has failed, for example because the pipe is closed."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return isinstance(raw, TolerantStdout) and raw.failed
