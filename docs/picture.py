"""Draw what a run left in its store: `python docs/picture.py STORE PICTURE`.

Above, the share of high tips day by day beside what the model expected; below, how far its
probabilities can be taken at their word in the test month, and how it tells the trips apart.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import duckdb
import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

COLORS = {"train": "#9aa5b1", "validation": "#e0a030", "test": "#2f7ed8"}


def draw(store: Path, picture: Path) -> None:
    """Draw the newest predictions of a store."""
    manifest = max(
        (store / "dev/_versions/predictions").glob("*.json"),
        key=lambda path: json.loads(path.read_text())["created_at"],
    )
    version = manifest.stem
    files = f"{store}/dev/predictions/version={version}/*/*/*.parquet"
    trips = f"read_parquet('{files}', hive_partitioning=true)"
    days = duckdb.sql(
        f"select date_trunc('day', pickup_at) as day, split, avg(high_tip::int) as happened, avg(probability) as expected "  # noqa: S608
        f"from {trips} group by all order by 1"
    ).df()
    bins = duckdb.sql(
        f"select least(floor(probability * 20), 19) as bin, avg(probability) as said, avg(high_tip::int) as happened, "  # noqa: S608
        f"sum(high_tip::int) as yes, sum((not high_tip)::int) as no "
        f"from {trips} where split = 'test' group by all order by 1"
    ).df()
    figure, axes = plt.subplot_mosaic(
        [["days", "days"], ["trust", "apart"]], figsize=(10, 6.4), layout="constrained"
    )
    for split, color in COLORS.items():
        of_split = days[days["split"] == split]
        axes["days"].plot(
            of_split["day"],
            of_split["happened"],
            ".",
            ms=4,
            color=color,
            label=f"{split}: share of high tips",
        )
    axes["days"].plot(
        days["day"], days["expected"], color="#222222", lw=1, label="the model's mean probability"
    )
    axes["days"].set(title="High tips, day by day", ylabel="share of trips")
    axes["days"].legend(ncols=2, fontsize=8, frameon=False)
    axes["trust"].plot([0, 1], [0, 1], color="#cccccc", lw=1)
    axes["trust"].plot(bins["said"], bins["happened"], "o-", color=COLORS["test"], ms=4)
    axes["trust"].set(
        title="Test month: said and happened", xlabel="probability", ylabel="share of high tips"
    )
    width = 0.046
    axes["apart"].bar(bins["bin"] / 20 + 0.025, bins["no"], width, color="#c8ced6", label="no high tip")
    axes["apart"].bar(
        bins["bin"] / 20 + 0.025,
        bins["yes"],
        width,
        bottom=bins["no"],
        color=COLORS["test"],
        label="high tip",
    )
    axes["apart"].set(title="Test month: trips by probability", xlabel="probability", ylabel="trips")
    axes["apart"].legend(fontsize=8, frameon=False)
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
