"""The start page and the documentation page of the scoring server, which need no other server."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup, escape

from toytip._version import __version__
from toytip.core.jsonable import dump_json
from toytip.core.model import TrainedModel
from toytip.core.text import join_words
from toytip.datasets.words import describe_kind
from toytip.models import trip_columns
from toytip.models.package import golden_trips
from toytip.serving.values import list_texts

ENDPOINTS = {
    "POST /score": "The scores of one trip (an object) or of several trips (a list)",
    "GET /healthz": "The status of the server, and the versions of the models",
    "GET /metrics": "Prometheus metrics",
    "GET /docs": "A page for the browser, with a complete example request",
    "GET /openapi.json": "OpenAPI schema",
}
STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}"
    "pre{overflow-x:auto;background:#8881;padding:1rem}td,th{text-align:left;padding:.2rem 1rem .2rem 0}"
)


@dataclass(frozen=True, kw_only=True)
class ModelDescription:
    """A model that the server serves."""

    version: str
    """Version of the run that trained the model."""
    taxi: str
    """Taxi type of the trips that the model scores."""
    segment: str
    """Segment of the trips that the model scores, such as `all`."""
    threshold: float
    """Decision threshold: the lowest probability for which the model predicts a positive label."""
    required_columns: tuple[str, ...]
    """Columns that a trip must have."""

    @classmethod
    def of(cls, model: TrainedModel) -> ModelDescription:
        """Return the description of a model."""
        return cls(
            version=model.version,
            taxi=model.taxi,
            segment=model.encoding.segment,
            threshold=model.threshold,
            required_columns=trip_columns.required_columns(model),
        )


@dataclass(frozen=True, kw_only=True)
class StartPage:
    """The answer to `GET /`."""

    toytip: str
    """Version of toytip."""
    models: tuple[ModelDescription, ...]
    """Models of the server, one per taxi type."""
    endpoints: dict[str, str]
    """Meaning of each endpoint, by method and path."""


def start_page(models: Mapping[str, TrainedModel]) -> StartPage:
    """Return the start page of a server with these models."""
    descriptions = tuple(map(ModelDescription.of, models.values()))
    return StartPage(toytip=__version__, models=descriptions, endpoints=ENDPOINTS)


def example_trip(model: TrainedModel) -> dict[str, object]:
    """Return a trip that has exactly the columns that a model needs."""
    usual, *_ = golden_trips(model)
    return {name: usual[name] for name in trip_columns.required_columns(model)}


def docs_page(models: Mapping[str, TrainedModel], url: str) -> str:
    """Return the HTML page that documents a server at a URL, without scripts."""
    endpoints = Markup().join(
        Markup("<tr><td><code>{}</code></td><td>{}</td></tr>").format(*item) for item in ENDPOINTS.items()
    )
    sections = Markup().join(_model_section(model, url) for model in models.values())
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>toytip</title><style>{}</style>'
        "<h1>toytip {}</h1><p>This server predicts the probability that the label of a trip is "
        "positive.</p><h2>Endpoints</h2><table>{}</table>{}</html>"
    )
    return Markup(page).format(Markup(STYLE), __version__, endpoints, sections)  # noqa: S704 - escapes values


def _list_texts(model: TrainedModel) -> Markup:
    """Return the texts that the required columns accept for codes."""
    dataset = model.encoding.dataset
    columns = {dataset.layout.source_column(field.name, model.taxi): field for field in dataset.fields}
    return Markup().join(
        Markup("<p>Texts of <code>{}</code>, in upper or lower case: {}</p>").format(
            name, join_words(list_texts(columns[name]))
        )
        for name in trip_columns.required_columns(model)
        if columns[name].texts
    )


def _model_section(model: TrainedModel, url: str) -> Markup:
    description = ModelDescription.of(model)
    request = f"curl -s {url.rstrip('/')}/score -d {shlex.quote(dump_json(example_trip(model)))}"
    columns = Markup(", ").join(
        Markup("<code>{}</code>").format(name) for name in description.required_columns
    )
    return Markup(
        "<h2>Model for {}</h2><p>Version <code>{}</code>, segment <code>{}</code>, "
        "decision threshold {}.</p><p>Required columns: {}</p>{}<pre>{}</pre>"
    ).format(
        describe_kind(model.taxi),
        model.version,
        description.segment,
        f"{model.threshold:.4f}",
        columns,
        _list_texts(model),
        escape(request),
    )
