"""Standard output: what stops a command there is one line, and what nobody reads any more stops none."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator
from typing import Any

from toytip.errors import ToytipError


class TolerantStdout(io.FileIO):
    """Standard output's file. Once it fails, what is still to come is dropped."""

    failed = False

    def write(self, content: Any) -> int:
        """Write; raise ToytipError where that cannot be, but for a reader that has gone: a command goes on as it would have."""
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
            raise ToytipError(f"standard output cannot be written: {reason}") from None


@contextlib.contextmanager
def tolerant_stdout() -> Iterator[None]:
    """Have Python write to such an output; a character that it cannot show becomes a question mark."""
    there = sys.__stdout__
    if there is None or sys.stdout is not there:  # closed, or somebody else's already
        yield
        return
    there.flush()
    with io.TextIOWrapper(
        io.BufferedWriter(TolerantStdout(there.fileno(), "w", closefd=False)), there.encoding, "replace",
        line_buffering=there.line_buffering, write_through=there.write_through,
    ) as ours, contextlib.redirect_stdout(ours):  # fmt: skip
        yield
        ours.flush()


def stdout_closed() -> bool:
    """Tell whether nobody reads standard output any more."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return isinstance(raw, TolerantStdout) and raw.failed
