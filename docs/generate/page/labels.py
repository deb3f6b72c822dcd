"""The names of contenders in words."""

from __future__ import annotations

import re

from benchmarks.workloads import EVERYTHING

# The work of toytip in a contender whose name has a suffix.
TOYTIP_WORK = {
    "-unchanged": "the same command again",
    "-new-month": "latest month with the champion",
}


def contender_label(name: str) -> str:
    """Return the name of a contender in words. An engine has its own name.

    >>> contender_label("toytip-1"), contender_label("toytip-2-unchanged"), contender_label("ray")
    ('toytip, 1 worker', 'toytip, 2 workers, the same command again', 'ray')
    """
    if name == EVERYTHING:
        return "toytip, 2 workers, with gate, report and monitoring"
    match = re.fullmatch(r"toytip-(\d+)(-[a-z-]+)?", name)
    if match is None or (match[2] and match[2] not in TOYTIP_WORK):
        return name
    work = f", {TOYTIP_WORK[match[2]]}" if match[2] else ""
    return f"toytip, {match[1]} worker{'' if match[1] == '1' else 's'}{work}"
