"""What has changed in toytip from one file of results to another, and no more than the files can tell.

Two runs are of two hours, or of two machines: their seconds say little. So toytip is measured in each repeat by the peers that
ran beside it, those that both files have; and in seconds only where there is no such peer, and the machine is the same.
"""

from __future__ import annotations

from statistics import geometric_mean
from typing import NamedTuple

from benchmarks.quality import aucs_differ
from benchmarks.ratios import Ratio, paired_ratio
from benchmarks.results import WORK_COLUMNS, Row, group_by, is_toytip

# Runs of toytip are compared where these are the same.
SAME_WORK_COLUMNS = ("name", *WORK_COLUMNS, "workers", "threads")
MACHINE_COLUMNS = ("machine", "cores", "machine_gb")


class ToytipRepeat(NamedTuple):
    """A row of toytip, and those of the peers that ran beside it."""

    toytip: Row
    peers: dict[str, Row]

    def value(self, name: str, peers: list[str]) -> float:
        """Return a value of toytip's, in shares of the peers' geometric mean where any are named."""
        own = float(self.toytip[name])
        return own / geometric_mean(self.peers[peer][name] for peer in peers) if peers else own


class MeasuredChange(NamedTuple):
    """What has changed: `value` is seconds or peak_mb, `baseline` says what it was measured by."""

    name: str
    rows: int
    value: str
    baseline: str
    ratio: Ratio

    @property
    def slower(self) -> bool:
        """Whether toytip surely takes longer."""
        return self.value == "seconds" and self.ratio.changed and self.ratio.mean > 1

    def __str__(self) -> str:
        """As people read it."""
        verdict = "no change" if not self.ratio.changed else "more" if self.ratio.mean > 1 else "less"
        return f"{self.name}, {self.rows:,} rows, {self.value} {self.baseline}: {self.ratio}: {verdict}"


def compare_results(before: list[Row], after: list[Row]) -> list[MeasuredChange]:
    """Compare toytip's time and memory where both files have the same work on the same cluster, repeat by repeat."""
    old, new = _latest_repeats(before), _latest_repeats(after)
    found = [
        _measure_change(old[key], new[key], value)
        for key in old
        if key in new
        for value in ("seconds", "peak_mb")
    ]
    return [change for change in found if change is not None]


def quality_changes(before: list[Row], after: list[Row]) -> list[str]:
    """Say where toytip keeps other trips than it did, or has another AUC."""
    old, new = _latest_repeats(before), _latest_repeats(after)
    said = []
    for key in (key for key in old if key in new):
        for repeat in sorted(old[key].keys() & new[key].keys()):
            one, other = old[key][repeat].toytip, new[key][repeat].toytip
            if one["kept"] != other["kept"] or aucs_differ(other["auc"], one["auc"], other["kept"]):
                said.append(
                    f"{one['name']}, {one['rows']:,} rows, repeat {repeat}: not the same quality: kept {other['kept']:,} rows "
                    f"and AUC {other['auc']:.5f}, before {one['kept']:,} and {one['auc']:.5f}"
                )
    return said


def _latest_repeats(rows: list[Row]) -> dict[tuple[object, ...], dict[int, ToytipRepeat]]:
    """Return the repeats of every work of toytip that are results, of the last run in the file that had it."""
    valid = [row for row in rows if row["valid"]]
    beside = group_by([row for row in valid if not is_toytip(row)], "run", *WORK_COLUMNS, "repeat")
    found: dict[tuple[object, ...], dict[int, ToytipRepeat]] = {}
    for key, mine in group_by(filter(is_toytip, valid), *SAME_WORK_COLUMNS).items():
        last = max(row["run"] for row in mine)
        found[key] = {}
        for row in (row for row in mine if row["run"] == last):
            peers = beside.get((last, *(row[name] for name in WORK_COLUMNS), row["repeat"]), [])
            found[key][row["repeat"]] = ToytipRepeat(row, {peer["name"]: peer for peer in peers})
    return found


def _measure_change(
    old: dict[int, ToytipRepeat], new: dict[int, ToytipRepeat], value: str
) -> MeasuredChange | None:
    """Return what has changed from repeats to the same ones; None where they have nothing to be measured by."""
    pairs = [
        (old[k], new[k])
        for k in sorted(old.keys() & new.keys())
        if _value_label(value, old[k].toytip, new[k].toytip)
    ]
    if not pairs:
        return None
    sides = [side for pair in pairs for side in pair]
    peers = sorted(
        set.intersection(
            *({n for n, row in side.peers.items() if _value_label(value, row)} for side in sides)
        )
    )
    if not peers and len({tuple(side.toytip.get(name) for name in MACHINE_COLUMNS) for side in sides}) > 1:
        return None
    found = paired_ratio([b.value(value, peers) for _, b in pairs], [a.value(value, peers) for a, _ in pairs])
    by = f"by {', '.join(peers)}" if peers else "as they are (the same machine, no peer in both)"
    return MeasuredChange(str(sides[0].toytip["name"]), int(sides[0].toytip["rows"]), value, by, found)


def _value_label(value: str, *rows: Row) -> bool:
    return all(row[value] > 0 for row in rows)
