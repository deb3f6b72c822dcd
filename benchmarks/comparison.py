"""What has changed in toytip from one file of results to another, and no more than the files can tell.

Two runs are of two hours, or of two machines: their seconds say little. So toytip is measured in each repeat by the peers that
ran beside it, those that both files have; and in seconds only where there is no such peer, and the machine is the same.
"""

from __future__ import annotations

from statistics import geometric_mean
from typing import NamedTuple

from benchmarks.quality import apart
from benchmarks.ratios import Ratio, ratio
from benchmarks.results import WORK, Row, groups, ours

# Runs of toytip are compared where these are the same.
ALIKE = ("name", *WORK, "workers", "threads")
MACHINE = ("machine", "cores", "machine_gb")


class Repeat(NamedTuple):
    """A row of toytip, and those of the peers that ran beside it."""

    mine: Row
    peers: dict[str, Row]

    def value(self, name: str, peers: list[str]) -> float:
        """Return a value of toytip's, in shares of the peers' geometric mean where any are named."""
        own = float(self.mine[name])
        return own / geometric_mean(self.peers[peer][name] for peer in peers) if peers else own


class Change(NamedTuple):
    """What has changed: `value` is seconds or peak_mb, `by` says what it was measured by."""

    name: str
    rows: int
    value: str
    by: str
    ratio: Ratio

    @property
    def slower(self) -> bool:
        """Whether toytip surely takes longer."""
        return self.value == "seconds" and self.ratio.changed and self.ratio.mean > 1

    def __str__(self) -> str:
        """As people read it."""
        verdict = "no change" if not self.ratio.changed else "more" if self.ratio.mean > 1 else "less"
        return f"{self.name}, {self.rows:,} rows, {self.value} {self.by}: {self.ratio}: {verdict}"


def compare(before: list[Row], after: list[Row]) -> list[Change]:
    """Compare toytip's time and memory where both files have the same work on the same cluster, repeat by repeat."""
    old, new = _sides(before), _sides(after)
    found = [
        _change(old[key], new[key], value) for key in old if key in new for value in ("seconds", "peak_mb")
    ]
    return [change for change in found if change is not None]


def other_quality(before: list[Row], after: list[Row]) -> list[str]:
    """Say where toytip keeps other trips than it did, or has another AUC."""
    old, new = _sides(before), _sides(after)
    said = []
    for key in (key for key in old if key in new):
        for repeat in sorted(old[key].keys() & new[key].keys()):
            one, other = old[key][repeat].mine, new[key][repeat].mine
            if one["kept"] != other["kept"] or apart(other["auc"], one["auc"], other["kept"]):
                said.append(
                    f"{one['name']}, {one['rows']:,} rows, repeat {repeat}: not the same quality: kept {other['kept']:,} rows "
                    f"and AUC {other['auc']:.5f}, before {one['kept']:,} and {one['auc']:.5f}"
                )
    return said


def _sides(rows: list[Row]) -> dict[tuple[object, ...], dict[int, Repeat]]:
    """Return the repeats of every work of toytip that are results, of the last run in the file that had it."""
    valid = [row for row in rows if row["valid"]]
    beside = groups([row for row in valid if not ours(row)], "run", *WORK, "repeat")
    found: dict[tuple[object, ...], dict[int, Repeat]] = {}
    for key, mine in groups(filter(ours, valid), *ALIKE).items():
        last = max(row["run"] for row in mine)
        found[key] = {}
        for row in (row for row in mine if row["run"] == last):
            peers = beside.get((last, *(row[name] for name in WORK), row["repeat"]), [])
            found[key][row["repeat"]] = Repeat(row, {peer["name"]: peer for peer in peers})
    return found


def _change(old: dict[int, Repeat], new: dict[int, Repeat], value: str) -> Change | None:
    """Return what has changed from repeats to the same ones; None where they have nothing to be measured by."""
    pairs = [
        (old[k], new[k]) for k in sorted(old.keys() & new.keys()) if _told(value, old[k].mine, new[k].mine)
    ]
    if not pairs:
        return None
    sides = [side for pair in pairs for side in pair]
    peers = sorted(
        set.intersection(*({n for n, row in side.peers.items() if _told(value, row)} for side in sides))
    )
    if not peers and len({tuple(side.mine.get(name) for name in MACHINE) for side in sides}) > 1:
        return None
    found = ratio([b.value(value, peers) for _, b in pairs], [a.value(value, peers) for a, _ in pairs])
    by = f"by {', '.join(peers)}" if peers else "as they are (the same machine, no peer in both)"
    return Change(str(sides[0].mine["name"]), int(sides[0].mine["rows"]), value, by, found)


def _told(value: str, *rows: Row) -> bool:
    return all(row[value] > 0 for row in rows)
