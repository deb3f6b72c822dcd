"""rings: what monitoring rings for, and all that is beyond its bound, in words: the same on the page and on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from toytip.report import say
from toytip.report.blocks import Cell, Table

MEASURES = {"psi": "PSI", "ks": "KS", "wasserstein": "Wasserstein"}
SKILLS = {"auc": "AUC of card trips"}
# A rate is judged by its distance from the band of the reference: what is outside at all is beyond.
BANDED = ("missing", "rejects")
RANG = 5


def alert(told: Mapping[str, Any]) -> str:
    """Return an alert in words."""
    often = f"beyond in {len(told['beyond_in'])} of the last {told['windows']} months"
    if told["kind"] == "drift":
        return f"{_what(told)}: {_measure(told)} {_amount(told)}, bound {told['bound']:g}; {often}"
    if _is_part(told):
        return f"{_what(told)}: {_amount(told)} by skill, bound {told['bound']:g}; {often}"
    return f"{_what(told)}: {_amount(told)}, {told['reference']:.4f} in the reference; {often}"


def before(told: Mapping[str, Any]) -> Iterator[str]:
    """Yield what rang in an earlier month, and when."""
    last = told["months"][-1]
    found: dict[str, list[str]] = {}
    for each in told["rang"]:
        if each["month"] != last:
            found.setdefault(_what(each), []).append(each["month"])
    for what, months in found.items():
        yield f"{what} in {', '.join(dict.fromkeys(months))}"


def caption(told: Mapping[str, Any]) -> str:
    """Return what a picture of F1 must not hide: what rings, and whether for lost skill, which F1 need not show."""
    last, rung = told["months"][-1], len(told["alerts"])
    counted = f"{rung} alert{'s' if rung > 1 else ''} ring{'' if rung > 1 else 's'} in {last}"
    lost = [each["name"] for each in told["alerts"] if each["kind"] == "skill"]
    if lost:
        names = ", ".join(SKILLS.get(name, say.word(name)) for name in lost)
        hidden = "" if "f1" in lost else " F1 alone does not show that."
        return f"{counted}: skill was lost, by {names}.{hidden}"
    labelled = any(row["month"] == last and row["metrics"] for row in told["performance"])
    known = f"{counted}, not for lost skill" if rung else f"Nothing rings in {last}"
    rings = known if labelled else f"{known}, where lost skill cannot be told"
    months = dict.fromkeys(each["month"] for each in told["rang"] if each["kind"] == "skill")
    earlier = f" Lost skill rang before, in {', '.join(months)}." if months else ""
    return f"{rings}. Where F1 falls along with always yes, there are fewer high tips.{earlier}"


def beyond(readings: Sequence[Mapping[str, Any]], told: Mapping[str, Any]) -> Table:
    """Return the table of what is beyond its bound, by month: what rang stands first, its months marked."""
    rang = {(*_key(each), each["month"]) for each in told["rang"]}
    found: dict[tuple[str, ...], dict[str, Mapping[str, Any]]] = {}
    for each in readings:
        found.setdefault(_key(each), {})[each["month"]] = each
    order = sorted(found, key=lambda key: not any((*key, month) in rang for month in found[key]))
    body: list[list[str | Cell]] = []
    for key in order:
        one = next(iter(found[key].values()))
        cells = [
            Cell(
                _amount(found[key][month]) if month in found[key] else "",
                level=RANG if (*key, month) in rang else 0,
            )
            for month in told["months"]
        ]
        reference = say.NONE if one["reference"] is None else f"{one['reference']:.4f}"
        body.append([_row(one, _values(one, found[key], told["drift"])), reference, _bound(one), *cells])
    return Table(
        caption="All that is beyond its bound, by month",
        head=["what", "reference", "bound", *told["months"]],
        rows=body,
        note="What rang is marked: beyond in enough of the last months. A share, AUC or expected metric is bounded by how far it "
        "is from the reference, a rate by the band of the reference's months. What the model hardly leans on has no bound.",
    )


def _what(told: Mapping[str, Any]) -> str:
    name = told["name"]
    return {
        "drift": f"feature {name} moved",
        "missing": f"missing values of {name}",
        "rejects": f"trips rejected as {name}",
        "share": f"share of {name.replace('_', ' ')}",
        "skill": f"skill lost ({say.word(name)})",
        "estimate": f"{say.word(name)} expected without labels",
    }[told["kind"]]


def _measure(told: Mapping[str, Any]) -> str:
    return MEASURES.get(told["measure"], f"share of {told['measure']} values")


def _amount(told: Mapping[str, Any]) -> str:
    value = told["value"]
    if told["kind"] == "drift":
        return f"{value:.3f}"
    return f"{value:+.4f}" if _is_part(told) else f"{value:.4f}"


def _is_part(told: Mapping[str, Any]) -> bool:
    return bool(told["kind"] == "skill" and told["measure"] == "part")


def _key(told: Mapping[str, Any]) -> tuple[str, ...]:
    return told["kind"], told["name"], told["measure"]


def _bound(told: Mapping[str, Any]) -> str:
    if told["kind"] in BANDED:
        return "its band"
    return f"{told['bound']:g}" if told["bound"] else "any"


def _row(told: Mapping[str, Any], values: Sequence[str]) -> str:
    if told["kind"] != "drift":
        return _what(told)
    named = f" ({', '.join(values)})" if values else ""
    return f"{told['name']}: {_measure(told)}{named}"


def _values(
    one: Mapping[str, Any], months: Iterable[str], drift: Mapping[str, Sequence[Mapping[str, Any]]]
) -> list[str]:
    """Return which values are new, or have vanished, in some months."""
    if one["measure"] not in ("new", "vanished"):
        return []
    moved = (each for month in months for each in drift[month] if each["feature"] == one["name"])
    return list(dict.fromkeys(value for each in moved for value in each[one["measure"]]))
