"""The section about pickup zones."""

from __future__ import annotations

from collections.abc import Sequence

from toytip.core.text import verb
from toytip.report import formatting
from toytip.report.blocks import Block, MissingBlock, Picture, PicturesBlock, TableBlock, TableCell
from toytip.report.charts import data as charts
from toytip.report.facts import Facts, ZoneSummary
from toytip.report.sections.section import Content, missing, section

MAX_TABLE_ZONES = 25
# With fewer trips, the share of high tips is mostly noise.
MIN_ZONE_TRIPS = 50


@section("zones", "Zones")
def zones_section(facts: Facts) -> Content:
    """Return trips, share of card trips and share of high tips, by borough and zone."""
    lead = (
        "The tables count the trips by pickup zone. As in the target encoding of zones, the share of high tips "
        f"is the share among {_rated_trips(facts.zones)} in the training months."
    )
    if not facts.zones:
        reason = facts.missing_reasons.get("zones", "the feature histograms have no pickup zones")
        return missing(lead, f"Trips by zone are not available: {reason}.")
    blocks: list[Block] = []
    if facts.zone_outlines:
        blocks.append(PicturesBlock([_zone_map(facts)]))
    if any(zone.borough for zone in facts.zones):
        blocks.append(_zone_table("Trips by borough", _sum_by_borough(facts.zones), "borough"))
    else:
        text = "Zone names are not available: there is no zone lookup file near the source."
        blocks.append(MissingBlock(f"{text} Set TOYTIP_ZONE_LOOKUP_FILE to the path of the file."))
    busiest = facts.zones[:MAX_TABLE_ZONES]
    blocks.append(_zone_table(f"The {len(busiest)} busiest of {len(facts.zones)} zones", busiest, "zone"))
    if all(zone.training_card_trips is None for zone in facts.zones):
        reason = facts.missing_reasons.get("model", "the model has no target encoding of zones")
        blocks.append(MissingBlock(f"The share of high tips by zone is not available: {reason}."))
    return Content(lead, blocks)


def _rated_trips(zones: Sequence[ZoneSummary]) -> str:
    """Return the trips that the share of high tips counts, in words.

    Some data sets have no card trips.
    """
    return "card trips" if any(zone.card_trips for zone in zones) else "trips"


def _zone_map(facts: Facts) -> Picture:
    shares = {
        zone.zone_id: zone.label_share
        for zone in facts.zones
        if zone.label_share is not None and (zone.training_card_trips or 0) >= MIN_ZONE_TRIPS
    }
    low, high = (formatting.format_share(pick(shares.values(), default=None)) for pick in (min, max))
    caption = (
        f"{len(shares)} of {len(facts.zone_outlines)} zones {verb(len(shares), 'has', 'have')} at least {MIN_ZONE_TRIPS} "
        f"{_rated_trips(facts.zones)} in training. The share of high tips in these zones ranges from {low} to {high}. Each shade stands for a "
        "quarter of these zones."
    )
    return charts.draw_zone_map("map", facts.zone_outlines, shares, caption)


def _sum_by_borough(zones: Sequence[ZoneSummary]) -> list[ZoneSummary]:
    boroughs: dict[str, list[ZoneSummary]] = {}
    for zone in zones:
        boroughs.setdefault(zone.borough or "unknown", []).append(zone)
    totals = [_sum_zones(name, members) for name, members in boroughs.items()]
    return sorted(totals, key=lambda total: -total.trips)


def _sum_zones(name: str, zones: Sequence[ZoneSummary]) -> ZoneSummary:
    counted = [zone for zone in zones if zone.training_card_trips is not None]
    card_trips = sum(zone.training_card_trips or 0 for zone in counted)
    high = sum((zone.label_share or 0.0) * (zone.training_card_trips or 0) for zone in counted)
    return ZoneSummary(
        0,
        name,
        "",
        sum(zone.trips for zone in zones),
        sum(zone.card_trips for zone in zones),
        card_trips if counted else None,
        high / card_trips if card_trips else None,
    )


def _zone_table(caption: str, zones: Sequence[ZoneSummary], label: str) -> TableBlock:
    busiest = max([zone.trips for zone in zones] or [1])
    body: list[list[str | TableCell]] = []
    for zone in zones:
        name = zone.name or str(zone.zone_id)
        if label == "zone" and zone.borough:
            name = f"{name}, {zone.borough}"
        body.append(
            [
                name,
                TableCell(formatting.format_count(zone.trips), bar=zone.trips / busiest),
                formatting.format_share(zone.card_trips / zone.trips if zone.trips else None),
                formatting.format_count(zone.training_card_trips),
                formatting.format_share(zone.label_share),
            ]
        )
    rated = _rated_trips(zones)
    header = [label, "trips kept", "share of card trips", f"{rated} in training", "share of high tips"]
    if rated == "trips":
        del header[2]
        body = [[*cells[:2], *cells[3:]] for cells in body]
    return TableBlock(caption=caption, header=header, rows=body)
