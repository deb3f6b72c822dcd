"""rings: what monitoring rings for, and all that is beyond its bound, in words: the same on the page and on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from toytip.report import formatting
from toytip.report.blocks import TableBlock, TableCell

MEASURE_LABELS = {"psi": "PSI", "ks": "KS", "wasserstein": "Wasserstein"}
SKILL_LABELS = {"auc": "AUC of card trips"}
# A rate is judged by its distance from the band of the reference: what is outside at all is beyond.
REFERENCE_RANGE_KINDS = ("missing", "rejects")
ALERT_LEVEL = 5


def alert_text(alert: Mapping[str, Any]) -> str:
    """Return an alert in words."""
    often = f"beyond in {len(alert['beyond_in'])} of the last {alert['windows']} months"
    if alert["kind"] == "drift":
        return f"{_subject(alert)}: {_measure_label(alert)} {_value_text(alert)}, bound {alert['threshold']:g}; {often}"
    if _is_skill_part(alert):
        return f"{_subject(alert)}: {_value_text(alert)} by skill, bound {alert['threshold']:g}; {often}"
    return f"{_subject(alert)}: {_value_text(alert)}, {alert['reference']:.4f} in the reference; {often}"


def earlier_alerts(monitoring: Mapping[str, Any]) -> Iterator[str]:
    """Yield what rang in an earlier month, and when."""
    last = monitoring["months"][-1]
    found: dict[str, list[str]] = {}
    for each in monitoring["rang"]:
        if each["month"] != last:
            found.setdefault(_subject(each), []).append(each["month"])
    for what, months in found.items():
        yield f"{what} in {', '.join(dict.fromkeys(months))}"


def alerts_caption(monitoring: Mapping[str, Any]) -> str:
    """Return what a picture of F1 must not hide: what rings, and whether for lost skill, which F1 need not show."""
    last, rung = monitoring["months"][-1], len(monitoring["alerts"])
    counted = f"{rung} alert{'s' if rung > 1 else ''} ring{'' if rung > 1 else 's'} in {last}"
    lost = [each["name"] for each in monitoring["alerts"] if each["kind"] == "skill"]
    if lost:
        names = ", ".join(SKILL_LABELS.get(name, formatting.label(name)) for name in lost)
        hidden = "" if "f1" in lost else " F1 alone does not show that."
        return f"{counted}: skill was lost, by {names}.{hidden}"
    labelled = any(row["month"] == last and row["metrics"] for row in monitoring["performance"])
    known = f"{counted}, not for lost skill" if rung else f"Nothing rings in {last}"
    rings = known if labelled else f"{known}, where lost skill cannot be told"
    months = dict.fromkeys(each["month"] for each in monitoring["rang"] if each["kind"] == "skill")
    earlier = f" Lost skill rang before, in {', '.join(months)}." if months else ""
    return f"{rings}. Where F1 falls along with always yes, there are fewer high tips.{earlier}"


def exceeded_table(measurements: Sequence[Mapping[str, Any]], monitoring: Mapping[str, Any]) -> TableBlock:
    """Return the table of what is beyond its bound, by month: what rang stands first, its months marked."""
    rang = {(*_series_key(each), each["month"]) for each in monitoring["rang"]}
    found: dict[tuple[str, ...], dict[str, Mapping[str, Any]]] = {}
    for each in measurements:
        found.setdefault(_series_key(each), {})[each["month"]] = each
    order = sorted(found, key=lambda key: not any((*key, month) in rang for month in found[key]))
    body: list[list[str | TableCell]] = []
    for key in order:
        one = next(iter(found[key].values()))
        cells = [
            TableCell(
                _value_text(found[key][month]) if month in found[key] else "",
                level=ALERT_LEVEL if (*key, month) in rang else 0,
            )
            for month in monitoring["months"]
        ]
        reference = formatting.NO_VALUE if one["reference"] is None else f"{one['reference']:.4f}"
        body.append(
            [
                _row_label(one, _category_values(one, found[key], monitoring["drift"])),
                reference,
                _threshold_text(one),
                *cells,
            ]
        )
    return TableBlock(
        caption="All that is beyond its bound, by month",
        header=["what", "reference", "bound", *monitoring["months"]],
        rows=body,
        note="What rang is marked: beyond in enough of the last months. A share, AUC or expected metric is bounded by how far it "
        "is from the reference, a rate by the band of the reference's months. What the model hardly leans on has no bound.",
    )


def _subject(measurement: Mapping[str, Any]) -> str:
    name = measurement["name"]
    return {
        "drift": f"feature {name} moved",
        "missing": f"missing values of {name}",
        "rejects": f"trips rejected as {name}",
        "share": f"share of {name.replace('_', ' ')}",
        "skill": f"skill lost ({formatting.label(name)})",
        "estimate": f"{formatting.label(name)} expected without labels",
    }[measurement["kind"]]


def _measure_label(measurement: Mapping[str, Any]) -> str:
    return MEASURE_LABELS.get(measurement["measure"], f"share of {measurement['measure']} values")


def _value_text(measurement: Mapping[str, Any]) -> str:
    value = measurement["value"]
    if measurement["kind"] == "drift":
        return f"{value:.3f}"
    return f"{value:+.4f}" if _is_skill_part(measurement) else f"{value:.4f}"


def _is_skill_part(measurement: Mapping[str, Any]) -> bool:
    return bool(measurement["kind"] == "skill" and measurement["measure"] == "part")


def _series_key(measurement: Mapping[str, Any]) -> tuple[str, ...]:
    return measurement["kind"], measurement["name"], measurement["measure"]


def _threshold_text(measurement: Mapping[str, Any]) -> str:
    if measurement["kind"] in REFERENCE_RANGE_KINDS:
        return "its band"
    return f"{measurement['threshold']:g}" if measurement["threshold"] else "any"


def _row_label(measurement: Mapping[str, Any], values: Sequence[str]) -> str:
    if measurement["kind"] != "drift":
        return _subject(measurement)
    named = f" ({', '.join(values)})" if values else ""
    return f"{measurement['name']}: {_measure_label(measurement)}{named}"


def _category_values(
    measurement: Mapping[str, Any], months: Iterable[str], drift: Mapping[str, Sequence[Mapping[str, Any]]]
) -> list[str]:
    """Return which values are new, or have vanished, in some months."""
    if measurement["measure"] not in ("new", "vanished"):
        return []
    moved = (each for month in months for each in drift[month] if each["feature"] == measurement["name"])
    return list(dict.fromkeys(value for each in moved for value in each[measurement["measure"]]))
