"""The folder of a leaderboard: an entry per judged predictions, and the page that compares them."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import TypeAdapter

from toytip.core.jsonable import dump_json, to_json
from toytip.core.redact import first_line
from toytip.errors import ConfigError, ToytipError
from toytip.evaluation.judgment import Judgment, LeaderboardEntry
from toytip.evaluation.tally import Tallies, tallies_from_parquet, tallies_to_parquet
from toytip.report.leaderboard_page import render_leaderboard_page

PAGE_NAME = "index.html"
# The name of the page is not the name of an entry.
RESERVED_NAME = "index"


def page_path(folder: str) -> str:
    """Return the path of the page of a leaderboard."""
    return str(Path(folder, PAGE_NAME))


def require_folder(folder: str, name: str) -> None:
    """Create the folder of a leaderboard for an entry with a name.

    Raises ConfigError if the entry cannot have the name, or if the folder cannot be created.
    """
    if name == RESERVED_NAME:
        raise ConfigError(
            f"cannot use the name {name}: the page of the leaderboard has this name", hint="Set --name."
        )
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cannot use leaderboard {folder}: {first_line(error)}",
            hint="Set --leaderboard to a local folder.",
        ) from None


def add_entry(folder: str, entry: LeaderboardEntry, report: str) -> None:
    """Add an entry with its report to a leaderboard, and write the page of all entries.

    An entry with the same name is replaced. Raises ConfigError if the other entries were judged on
    different trips, and ToytipError if a file cannot be read or written.
    """
    judgment, path = entry.judgment, Path(folder)
    try:
        others = [item for item in read_entries(path) if item.judgment.name != judgment.name]
        for other in others:
            if other.judgment.trips_digest != judgment.trips_digest:
                raise ConfigError(
                    f"cannot add {judgment.name} to leaderboard {folder}: "
                    f"{other.judgment.name} was judged on other trips",
                    hint="Use one folder for each test period, or set --input-version.",
                )
        daily = _daily_tallies(entry.tallies)
        (path / f"{judgment.name}.html").write_text(report, encoding="utf-8")
        (path / f"{judgment.name}.parquet").write_bytes(tallies_to_parquet(daily))
        (path / f"{judgment.name}.json").write_text(dump_json(to_json(judgment), indent=1), encoding="utf-8")
        page = render_leaderboard_page([*others, LeaderboardEntry(judgment=judgment, tallies=daily)])
        (path / PAGE_NAME).write_text(page, encoding="utf-8")
    except OSError as error:
        raise ToytipError(
            f"cannot write leaderboard {folder}: {first_line(error)}",
            hint="Set --leaderboard to a writable folder.",
        ) from None


def read_entries(folder: Path) -> list[LeaderboardEntry]:
    """Return the entries of a leaderboard by name. Raises ToytipError if one is damaged."""
    adapter = TypeAdapter(Judgment)
    entries = []
    for file in sorted(folder.glob("*.json")):
        try:
            judgment = adapter.validate_python(json.loads(file.read_text(encoding="utf-8")))
            tallies = tallies_from_parquet(file.with_suffix(".parquet").read_bytes())
        except (ValueError, KeyError, FileNotFoundError) as error:
            raise ToytipError(
                f"cannot read {file}: it is not an entry of a leaderboard ({first_line(error)})",
                hint="Delete the file, and judge the predictions again.",
            ) from None
        entries.append(LeaderboardEntry(judgment=judgment, tallies=tallies))
    return entries


def _daily_tallies(tallies: Tallies) -> Tallies:
    """Return the metric histograms of the judged predictions, of all trips and of each day."""
    return {
        key: tally for key, tally in tallies.items() if key.predictor == "model" and key.slice in ("", "day")
    }
