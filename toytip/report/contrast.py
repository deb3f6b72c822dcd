"""contrast: the page of two versions: the same facts of both, and what is different."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from toytip.report import beside, say
from toytip.report.beside import BETTER, LESS, PSI, gained, less, value
from toytip.report.blocks import Block, Missing, Page, Pairs, Section, Table, Text, Warnings
from toytip.report.facts import Facts
from toytip.report.page import Figure, figures, foot, render
from toytip.stages.drift import drift

# What their config says is told of the model already.
TOLD = {"tallies", "predictions", "monitors"}


def page(a: Facts, b: Facts, compared: Mapping[str, Any]) -> str:
    """Return the page of two versions; `compared` is what `toytip.compare` found."""
    return render(
        Page(
            title="Two versions",
            kicker="toytip diff",
            subtitle=[
                f"{side}: {told.version} · {say.moment(told.created)}" for side, told in (("A", a), ("B", b))
            ],
            figures=figures(lambda: _figures(a, b, compared)),
            sections=list(_sections(a, b, compared)),
            foot=foot(),
        )
    )


def _sections(a: Facts, b: Facts, compared: Mapping[str, Any]) -> Iterator[Section]:
    parts: tuple[tuple[str, str, Callable[[], Section]], ...] = (
        ("first", "Look at this first", lambda: _first(a, b)),
        ("changed", "What was changed", lambda: _changed(a, b)),
        ("rows", "Rows", lambda: _rows(compared)),
        ("metrics", "Metrics", lambda: beside.metrics(a, b)),
        ("curves", "Curves", lambda: beside.curves(a, b)),
        ("predictions", "Predictions", lambda: _predictions(compared)),
        ("features", "Features", lambda: beside.features(a, b)),
        ("leaning", "What the models lean on", lambda: beside.leaning(a, b)),
        ("time", "Time", lambda: _time(a, b)),
    )
    for name, title, make in parts:
        try:
            yield make()
        except Exception as error:  # noqa: BLE001 - as in the report of a run: one part that fails is a line
            yield Section(name, title, "", [Missing(f"This part failed: {type(error).__name__}: {error}")])


def _figures(a: Facts, b: Facts, compared: Mapping[str, Any]) -> list[Figure]:
    found = []
    for name, key in (("AUC", "auc"), ("F1", "f1"), ("log loss", "log_loss")):
        pair = [value(each, "all", key) for each in (a, b)]
        if None not in pair:
            found.append((f"{name}, {LESS}", say.signed(less(*pair)), f"{pair[0]:.4f} to {pair[1]:.4f}"))
    flipped = compared.get("predictions", {}).get("flipped_share")
    if flipped is not None:
        told = compared["predictions"]
        found.append(
            ("predictions flipped", say.share(flipped, 2), f"of {say.count(told['common'])} common trips")
        )
    return found


def _first(a: Facts, b: Facts) -> Section:
    lines = list(_warnings(a, b))
    blocks: list[Block] = [Warnings(lines)] if lines else [Text("Nothing to warn of.")]
    return Section("first", "Look at this first", "", blocks)


def _warnings(a: Facts, b: Facts) -> Iterator[tuple[str, str]]:
    if a.split and b.split and a.split.get("test") != b.split.get("test"):
        yield "The test months are not the same: the metrics are of other trips.", "changed"
    if a.population != b.population:
        yield (
            f"A has learned from {a.population or 'no'} trips, B from {b.population or 'no'} trips.",
            "changed",
        )
    for population in ("all", "card"):
        worse = [f"{say.word(key)} by {-change:.4f}" for key, change in _worse(a, b, population)]
        if worse:
            yield f"B is worse on {population} trips, by more than chance: {', '.join(worse)}.", "metrics"
    moved = [told.feature for told in drift(a.histograms, b.histograms) if (told.psi or 0) > PSI]
    if moved:
        yield f"Features have moved from A to B: {', '.join(moved)}.", "features"


def _worse(a: Facts, b: Facts, population: str) -> Iterator[tuple[str, float]]:
    """Yield the metrics that are worse in B by more than chance, and by how much, below zero."""
    spans = gained(a, b, population)
    for key in ("auc", "f1", "log_loss"):
        change = less(value(a, population, key), value(b, population, key))
        if change is None or change * BETTER[key] >= 0:
            continue
        own = [each.told(population)["intervals"].get(key) for each in (a, b)]
        span = spans.get(key)
        if (span and span[1] < 0) or (not spans and all(own) and _apart(*own)):
            yield key, change * BETTER[key]


def _apart(a: Sequence[float], b: Sequence[float]) -> bool:
    return a[1] < b[0] or b[1] < a[0]


def _changed(a: Facts, b: Facts) -> Section:
    pairs: dict[str, tuple[Any, Any]] = {
        "store": (a.store, b.store),
        "taxi": (a.taxi, b.taxi),
        "months": (a.months, b.months),
        "population": (a.population, b.population),
        "features": (sorted(a.features), sorted(b.features)),
        **{f"split: {name}": (a.split.get(name), b.split.get(name)) for name in ("train", "valid", "test")},
        "rounds kept": (a.rounds, b.rounds),
        "threshold": (a.threshold, b.threshold),
    }
    for table in sorted((a.config.keys() & b.config.keys()) - TOLD):
        x, y = a.config[table], b.config[table]
        pairs |= {f"{table}: {say.word(k)}": (x.get(k), y.get(k)) for k in {**x, **y}}
    pairs |= {
        f"made with: {k}": (a.environment.get(k), b.environment.get(k))
        for k in {**a.environment, **b.environment}
    }
    files = [{str(source["checksum"]) for source in each.sources} for each in (a, b)]
    pairs["source files"] = (
        f"{len(files[0])}, {len(files[0] - files[1])} of them only here",
        f"{len(files[1])}, {len(files[1] - files[0])} of them only here",
    )
    body = [[name, *_both(name, *pair)] for name, pair in pairs.items() if pair[0] != pair[1]]
    if not body:
        return Section(
            "changed",
            "What was changed",
            "",
            [Text("Config, environment, split, features and source files are the same.")],
        )
    return Section("changed", "What was changed", "All that is not the same in config, environment and source.", [
        Table(caption="What is not the same", head=["", "A", "B"], rows=body, words=(0, 1, 2), wide=True)
    ])  # fmt: skip


def _both(name: str, a: Any, b: Any) -> list[str]:
    if name == "features":  # two long lists that are nearly the same say nothing
        return [
            f"{len(x)}" + (f", with {', '.join(only)}" if (only := sorted(set(x) - set(y))) else "")
            for x, y in ((a, b), (b, a))
        ]
    return [say.plain(a), say.plain(b)]


def _rows(compared: Mapping[str, Any]) -> Section:
    body = [
        [name, *map(say.count, pair), _change(*pair)] for name, pair in compared["rows"].items() if any(pair)
    ]
    blocks: list[Block] = [Table(caption="Rows of every table", head=["table", "A", "B", LESS], rows=body)]
    if compared["rejects"]:
        body = [
            [say.word(reason), *map(say.count, pair), _change(*pair)]
            for reason, pair in compared["rejects"].items()
        ]
        blocks.append(Table(caption="Rejected trips by reason", head=["reason", "A", "B", LESS], rows=body))
    else:
        blocks.append(Missing("No rejects to compare."))
    return Section("rows", "Rows", "", blocks)


def _change(a: float, b: float) -> str:
    return say.signed(b - a, 0) if b != a else "0"


def _predictions(compared: Mapping[str, Any]) -> Section:
    told = compared.get("predictions")
    if not told:
        return Section("predictions", "Predictions", "", [Missing("One of the versions has no predictions.")])
    change = told["mean_change_of_probability"]
    return Section("predictions", "Predictions", "Trips are joined by their id.", [Pairs([
        ("in both", f"{say.count(told['common'])} trips"),
        ("in one only", f"{say.count(told['in_one_only'])} trips"),
        ("flipped", f"{say.count(told['flipped'])} trips, {say.share(told['flipped_share'], 2)}"),
        ("change of probability", f"{change:.4f} on average" if change is not None else say.NONE),
    ])])  # fmt: skip


def _time(a: Facts, b: Facts) -> Section:
    if a.run is None or b.run is None:
        return Section(
            "time",
            "Time",
            "",
            [
                Missing(
                    "Of one of the versions no seconds were kept: it was not made by a run, or by an earlier toytip."
                )
            ],
        )
    sides = [{**each.run["stages"], "all": each.run["seconds"]} for each in (a, b) if each.run]
    body = [
        [
            name,
            *(f"{side[name]:.1f}" if name in side else say.NONE for side in sides),
            say.signed(less(sides[0].get(name), sides[1].get(name)), 1),
        ]
        for name in dict.fromkeys([*sides[0], *sides[1]])
    ]
    peaks = [each.run["peak_memory_mb"] for each in (a, b) if each.run]
    body.append(["peak MB", *(f"{peak:,.0f}" for peak in peaks), say.signed(peaks[1] - peaks[0], 0)])
    return Section("time", "Time", "A stage that was taken over from an earlier version takes next to none.", [
        Table(caption="Seconds by stage", head=["stage", "A", "B", LESS], rows=body)
    ])  # fmt: skip
