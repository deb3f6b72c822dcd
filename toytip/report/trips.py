"""trips: sections of what the trips are like, month by month and zone by zone, and what the model makes of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from toytip.report import daily, rings, say
from toytip.report import months as drawn_by
from toytip.report.blocks import Block, Cell, Missing, Picture, Pictures, Section, Table, Text
from toytip.report.facts import Facts, Leaning, Zone

FEATURES = 18
LEANING = 12
DRAWN = 5
ZONES = 25
# With fewer trips a zone's share is chance.
ENOUGH = 50
HEAT = 5
# A contribution that is less is written as nought.
TOLD = 0.005
# What has no value, and what has one that training never saw, have codes that stand for no value.
UNKNOWN = "missing or never seen"


def features(facts: Facts) -> Section:
    """Return how every feature was, month by month."""
    lead = (
        "Those that the model leans on most come first. Of amounts: the median, and the bands of half and nine in ten of the "
        "trips. Of categories: the shares of the four most common values, the most common below."
    )
    if not facts.spreads:
        return Section(
            "features",
            "Features by month",
            lead,
            [Missing(f"Not told: {facts.missing.get('features', 'no profiles')}.")],
        )
    names = list(facts.months)
    drawn = [
        drawn_by.small(f"feature-{place}", told, names)
        for place, told in enumerate(facts.spreads[:FEATURES])
        if min(told.missing) < 1
    ]
    blocks: list[Block] = [Pictures(drawn)]
    empty = [told.name for told in facts.spreads if min(told.missing) >= 1]
    if empty:
        blocks.append(Text(f"No trip has {', '.join(empty)}."))
    if len(facts.spreads) > FEATURES:
        rest = ", ".join(told.name for told in facts.spreads[FEATURES:])
        why = "the model leans least on these" if facts.leaning else "there is room for no more"
        blocks.append(Text(f"The first {FEATURES} are drawn. Not shown, as {why}: {rest}."))
    return Section("features", "Features by month", lead, blocks)


def leaning(facts: Facts) -> Section:
    """Return what the model leans on."""
    lead = (
        f"Contributions to the log-odds (SHAP) of {say.count(facts.explained)} test trips, drawn evenly: how much a feature moves a "
        "trip's probability, and where to."
        if facts.explained
        else "The share of the gain of all splits that each feature has."
    )
    if not facts.leaning:
        return Section(
            "leaning",
            "What the model leans on",
            lead,
            [Missing(f"Not told: {facts.missing.get('leaning', 'no model')}.")],
        )
    zones_ = {each.number: each.name for each in facts.zones if each.name}
    blocks: list[Block] = [_leaning(facts.leaning[:LEANING], zones_)]
    if facts.explained:
        blocks.append(
            Text(
                "How the five most important move the log-odds: amounts from their smallest values to their largest; of zones "
                "and other categories, the values that move them most. Unknown is what is missing or was never seen in training."
            )
        )
        told = [each for each in facts.leaning if each.strip][:DRAWN]
        blocks.append(Pictures([drawn_by.contributions(f"shap-{k}", each) for k, each in enumerate(told)]))
    if not facts.explained:
        blocks.append(Missing(f"No contributions: {facts.missing.get('leaning', 'the features are gone')}."))
    return Section("leaning", "What the model leans on", lead, blocks)


def _leaning(told: Sequence[Leaning], zones_: Mapping[int, str]) -> Table:
    most = max([each.shap or 0.0 for each in told] or [1]) or 1.0
    top = max([each.gain for each in told] or [1]) or 1.0
    body: list[list[str | Cell]] = []
    for each in told:
        size = Cell(say.NONE if each.shap is None else f"{each.shap:.3f}", bar=(each.shap or 0) / most)
        body.append([each.name, size, Cell(say.share(each.gain), bar=each.gain / top), *_ends(each, zones_)])
    return Table(
        caption="Features by the mean size of their contribution",
        head=["feature", "mean |SHAP|", "share of gain", "most against a high tip", "most for a high tip"],
        rows=body,
        words=(0, 3, 4),
        note="The last two columns are the values, of about ten even groups, whose mean contribution is lowest and highest; of "
        f"zones and other categories, up to {drawn_by.OUTER} values.",
    )


def _ends(each: Leaning, zones_: Mapping[int, str]) -> list[Cell]:
    if not each.strip:
        return [Cell(say.NONE), Cell(say.NONE)]
    if each.category:
        down = [told for told in each.strip if told[2] <= -TOLD][: drawn_by.OUTER]
        up = [told for told in each.strip[::-1] if told[2] >= TOLD][: drawn_by.OUTER]
        return [
            Cell(
                "; ".join(f"{_value(each.name, v, zones_)}: {say.signed(mean, 2)}" for v, _, mean in some)
                or say.NONE
            )
            for some in (down, up)
        ]
    low, high = min(each.strip, key=lambda told: told[2]), max(each.strip, key=lambda told: told[2])
    return [Cell(f"{_range(told)}: {say.signed(told[2], 2)}") for told in (low, high)]


def _value(name: str, value: float, zones_: Mapping[int, str]) -> str:
    if math.isnan(value):
        return UNKNOWN
    if name.endswith("LocationID"):
        return zones_.get(int(value), f"{value:g}")
    return say.plainly(name, f"{value:g}")


def _range(told: tuple[float, float, float]) -> str:
    if math.isnan(told[0]):
        return UNKNOWN
    first, last = map(say.rough, told[:2])
    return first if first == last else f"{first} to {last}"


def drift(facts: Facts) -> Section:
    """Return what monitoring says: F1 day by day, what changed it, how far features have moved."""
    lead = "How far the months after the training are from it, in effect sizes, and what the metrics have lost, and what to."
    told = facts.monitor
    if told is None:
        return Section(
            "drift",
            "Drift and decay",
            lead,
            [Missing(f"Not told: {facts.missing.get('drift', 'nothing was monitored')}.")],
        )
    blocks: list[Block] = []
    if told["days"]:
        blocks.append(Pictures([drawn_by.days("days", told["days"], rings.caption(told))]))
        blocks.append(Pictures(daily.ranks_of_days(told["days"])))
    if earlier := list(rings.before(told)):
        blocks.append(Text(f"Rang before: {'; '.join(earlier)}."))
    blocks.append(_performance(told))
    nothing = Text("Nothing is beyond its bound in any month.")
    blocks.append(rings.beyond(facts.beyond, told) if facts.beyond else nothing)
    if facts.psi:
        blocks.append(_heat(facts))
    return Section("drift", "Drift and decay", lead, blocks)


def _performance(told: Mapping[str, Any]) -> Table:
    body: list[list[str | Cell]] = []
    for each in told["performance"]:
        values, f1 = each["metrics"] or {}, each["f1"]
        cells: list[str | Cell] = [
            f"{each['month']} ({', '.join(told['reference_of_skill'])})" if each["month"] == "reference" else each["month"],
            say.count(each["rows"]), say.share(each["card_share"]), say.share(each["tip_share"]),
            say.metric(values.get("f1")), say.metric(each["estimated"]["f1"]), say.metric(values.get("f1_always_yes")),
            say.metric(values.get("auc")), say.metric(each["card_auc"]),
        ]  # fmt: skip
        parts = [""] * 5
        if f1 and each["month"] != "reference":
            parts = [say.signed(value) for value in (*f1.values(), each["log_loss"]["skill"])]
        body.append([*cells, *parts])
    head = [
        "month", "trips", "card", "high tips by card", "F1", "expected F1", "always yes", "AUC", "AUC card",
        "change of F1", "by card share", "by tips", "by skill", "log loss by skill",
    ]  # fmt: skip
    return Table(
        caption="The model by month, and what changed its F1 since the reference",
        head=head,
        rows=body,
        note="Card share, tips and skill add up to the change of F1 since the reference. Skill is lost where F1 by skill or the AUC "
        "of card trips falls, or log loss by skill rises; the AUC of all trips moves with their mix. F1 is expected from the "
        "probabilities alone, without labels.",
    )


def _heat(facts: Facts) -> Table:
    bound = (facts.monitor or {}).get("bounds", {}).get("psi", 0.2)
    names = list(facts.psi)[:FEATURES]
    months = list(dict.fromkeys(month for told in facts.psi.values() for month in told))
    body: list[list[str | Cell]] = [
        [name, *(_tint(facts.psi[name].get(month), bound) for month in months)] for name in names
    ]
    return Table(
        caption="How far features have moved from the training months (PSI)",
        head=["feature", *months],
        rows=body,
        note=f"Beyond {bound:g} a month counts as drifted; its cells are marked. What the model leans on most stands first.",
    )


def _tint(value: float | None, bound: float) -> Cell:
    if value is None:
        return Cell(say.NONE)
    return Cell(f"{value:.3f}", level=HEAT if value > bound else min(int(HEAT * value / bound), HEAT - 1))


def zones(facts: Facts) -> Section:
    """Return trips, card share and high tips by borough and zone."""
    lead = "Where trips begin. High tips are those of card trips in the training months, as the rates by zone see them."
    if not facts.zones:
        return Section(
            "zones", "Zones", lead, [Missing(f"Not told: {facts.missing.get('zones', 'no zones')}.")]
        )
    blocks: list[Block] = []
    if facts.outlines:
        blocks.append(Pictures([_map(facts)]))
    if any(each.borough for each in facts.zones):
        blocks.append(_table("By borough", _boroughs(facts.zones), "borough"))
    else:
        blocks.append(
            Missing("No names: the TLC's zone table was not found near the source; name it by TOYTIP_ZONES.")
        )
    shown = facts.zones[:ZONES]
    blocks.append(_table(f"The {len(shown)} busiest of {len(facts.zones)} zones", shown, "zone"))
    if all(each.learned is None for each in facts.zones):
        why = facts.missing.get("model", "they are told from the model's rates by zone, and it has none")
        blocks.append(Missing(f"No high tips by zone: {why}."))
    return Section("zones", "Zones", lead, blocks)


def _map(facts: Facts) -> Picture:
    values = {
        each.number: each.high
        for each in facts.zones
        if each.high is not None and (each.learned or 0) >= ENOUGH
    }
    least, most = (say.share(of(values.values(), default=None)) for of in (min, max))
    says = (
        f"Of {len(facts.outlines)} zones, {len(values)} have {ENOUGH} card trips or more to tell from: {least} to {most} of "
        "them tip high. Each shade is a quarter of these zones."
    )
    return drawn_by.zone_map("map", facts.outlines, values, says)


def _boroughs(zones: Sequence[Zone]) -> list[Zone]:
    found: dict[str, Zone] = {}
    for each in zones:
        name = each.borough or "unknown"
        before = found.get(name, Zone(0, name, "", 0, 0, None, None))
        high = (before.high or 0.0) * (before.learned or 0) + (each.high or 0.0) * (each.learned or 0)
        learned = (
            None
            if each.learned is None and before.learned is None
            else (before.learned or 0) + (each.learned or 0)
        )
        found[name] = Zone(
            0,
            name,
            "",
            before.trips + each.trips,
            before.card + each.card,
            learned,
            high / learned if learned else None,
        )
    return sorted(found.values(), key=lambda each: -each.trips)


def _table(caption: str, told: Sequence[Zone], what: str) -> Table:
    most = max([each.trips for each in told] or [1])
    body: list[list[str | Cell]] = []
    for each in told:
        name = each.name or str(each.number)
        if what == "zone" and each.borough:
            name = f"{name}, {each.borough}"
        body.append([
            name, Cell(say.count(each.trips), bar=each.trips / most),
            say.share(each.card / each.trips if each.trips else None),
            say.count(each.learned), say.share(each.high),
        ])  # fmt: skip
    return Table(
        caption=caption,
        head=[what, "trips kept", "by card", "card trips learned from", "high tips"],
        rows=body,
    )
