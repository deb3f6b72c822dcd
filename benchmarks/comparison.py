"""Compare toytip between two result files.

The files can come from different times or machines, so that their seconds are not comparable. In
each repeat, toytip is therefore measured relative to the peers that occur in both files. If the
files have no common peer, seconds are compared, but only if both files are from the same machine.
"""

from __future__ import annotations

from statistics import geometric_mean
from typing import NamedTuple

from benchmarks.quality import aucs_differ
from benchmarks.ratios import Ratio, paired_ratio
from benchmarks.results import WORK_COLUMNS, Row, group_by, is_toytip, last_run

# Two results of toytip are comparable if they have equal values in these columns.
SAME_WORK_COLUMNS = ("name", *WORK_COLUMNS, "workers", "threads")
MACHINE_COLUMNS = ("machine", "cores", "machine_gb")


class ToytipRepeat(NamedTuple):
    """A result of toytip, and the results of all peers in the same repeat, by name."""

    toytip: Row
    peers: dict[str, Row]

    def value(self, column: str, peers: list[str]) -> float:
        """Return a value of toytip, divided by the geometric mean of the value of these peers."""
        value = float(self.toytip[column])
        return value / geometric_mean(self.peers[peer][column] for peer in peers) if peers else value


class MeasuredChange(NamedTuple):
    """A change of `column` (`seconds` or `peak_mb`) of toytip, measured relative to `baseline`."""

    name: str
    rows: int
    column: str
    baseline: str
    ratio: Ratio

    @property
    def is_slower(self) -> bool:
        """Whether toytip is significantly slower."""
        return self.column == "seconds" and self.ratio.is_significant and self.ratio.mean > 1

    def __str__(self) -> str:
        """Return the change as text."""
        verdict = "no change" if not self.ratio.is_significant else "more" if self.ratio.mean > 1 else "less"
        return f"{self.name}, {self.rows:,} rows, {self.column} {self.baseline}: {self.ratio}: {verdict}"


def compare_results(old_rows: list[Row], new_rows: list[Row]) -> list[MeasuredChange]:
    """Compare the time and memory of toytip, repeat by repeat, for the same work and workers."""
    old, new = _latest_repeats(old_rows), _latest_repeats(new_rows)
    changes = [
        _measure_change(old[key], new[key], column)
        for key in old
        if key in new
        for column in ("seconds", "peak_mb")
    ]
    return [change for change in changes if change is not None]


def quality_changes(old_rows: list[Row], new_rows: list[Row]) -> list[str]:
    """Return a line for each repeat in which the accepted rows or the AUC of toytip changed."""
    old, new = _latest_repeats(old_rows), _latest_repeats(new_rows)
    lines = []
    for key in (key for key in old if key in new):
        for repeat in sorted(old[key].keys() & new[key].keys()):
            a, b = old[key][repeat].toytip, new[key][repeat].toytip
            if a["kept"] != b["kept"] or aucs_differ(b, a["auc"]):
                lines.append(
                    f"{a['name']}, {a['rows']:,} rows, repeat {repeat}: the quality changed: "
                    f"{b['kept']:,} rows kept and AUC {b['auc']:.5f}, "
                    f"vs. {a['kept']:,} and {a['auc']:.5f} earlier"
                )
    return lines


def _latest_repeats(rows: list[Row]) -> dict[tuple[object, ...], dict[int, ToytipRepeat]]:
    """Return the valid repeats of toytip by work, each from the last run that has this work."""
    valid = [row for row in rows if row["valid"]]
    peers_by_repeat = group_by([row for row in valid if not is_toytip(row)], "run", *WORK_COLUMNS, "repeat")
    repeats: dict[tuple[object, ...], dict[int, ToytipRepeat]] = {}
    for key, toytip_rows in group_by(filter(is_toytip, valid), *SAME_WORK_COLUMNS).items():
        run = last_run(toytip_rows)
        repeats[key] = {}
        for row in (row for row in toytip_rows if row["run"] == run):
            work = tuple(row[column] for column in WORK_COLUMNS)
            peers = peers_by_repeat.get((run, *work, row["repeat"]), [])
            repeats[key][row["repeat"]] = ToytipRepeat(row, {peer["name"]: peer for peer in peers})
    return repeats


def _measure_change(
    old: dict[int, ToytipRepeat], new: dict[int, ToytipRepeat], column: str
) -> MeasuredChange | None:
    """Return the change between repeats with the same number, or None if there are none."""
    pairs = [
        (old[repeat], new[repeat])
        for repeat in sorted(old.keys() & new.keys())
        if _are_positive(column, old[repeat].toytip, new[repeat].toytip)
    ]
    if not pairs:
        return None
    repeats = [repeat for pair in pairs for repeat in pair]
    common = set.intersection(
        *({name for name, row in repeat.peers.items() if _are_positive(column, row)} for repeat in repeats)
    )
    peers = sorted(common)
    machines = {tuple(repeat.toytip.get(name) for name in MACHINE_COLUMNS) for repeat in repeats}
    if not peers and len(machines) > 1:
        return None
    ratio = paired_ratio(
        [b.value(column, peers) for _, b in pairs], [a.value(column, peers) for a, _ in pairs]
    )
    baseline = f"relative to {', '.join(peers)}" if peers else "(same machine, no common peer)"
    row = repeats[0].toytip
    return MeasuredChange(str(row["name"]), int(row["rows"]), column, baseline, ratio)


def _are_positive(column: str, *rows: Row) -> bool:
    return all(row[column] > 0 for row in rows)
