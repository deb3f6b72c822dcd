"""Fixtures of the scoring server and of scored files."""

import asyncio
import json

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.support.models import register, train_model
from toytip.serving.app import Server, make_app
from toytip.serving.request import RequestLimits


class AppClient:
    """Sends requests to an ASGI application, without a socket."""

    def __init__(self, app):
        self.app = app
        self._transport = httpx.ASGITransport(app=app)

    def send(self, *requests):
        async def send_all():
            async with httpx.AsyncClient(transport=self._transport, base_url="http://toytip") as client:
                return [await client.request(method, path, **options) for method, path, options in requests]

        return asyncio.run(send_all())

    def post(self, body, path="/score"):
        options = {"content": body} if isinstance(body, bytes) else {"json": body}
        return self.send(("POST", path, options))[0]

    def get(self, path):
        return self.send(("GET", path, {}))[0]


def make_app_client(models, limits, write_access_log=None):
    server = Server(lambda _: models, limits, write_access_log=write_access_log)
    server.reload()
    return AppClient(make_app(server))


@pytest.fixture(scope="session")
def served_model():
    """A model of yellow taxis, which no run trained."""
    return train_model("yellow")


@pytest.fixture(scope="session")
def model_store(served_model, tmp_path_factory):
    """A store whose only champion is `served_model`."""
    store = tmp_path_factory.mktemp("model-store") / "store"
    register(store, served_model)
    return store


@pytest.fixture(scope="session")
def make_client(served_model):
    """Return a function that starts the application with models and limits."""

    def make(*models, write_access_log=None, **limits):
        served = {model.taxi: model for model in models or (served_model,)}
        return make_app_client(served, RequestLimits(**limits), write_access_log)

    return make


@pytest.fixture(scope="session")
def app(make_client):
    return make_client(max_trips=1_000)


@pytest.fixture(scope="session")
def raw_trips(model_run):
    """A thousand raw trips of the test month of `model_run`."""
    return pq.read_table(model_run.files[2]).slice(0, 1_000)


@pytest.fixture(scope="session")
def published(model_run):
    """The predictions of the run for `raw_trips`, with missing values for rejected trips."""
    first_id = int(model_run.predictions.index.max()) // 10**9 * 10**9
    return model_run.predictions.reindex(first_id + np.arange(1_000))


@pytest.fixture(scope="session")
def to_dicts():
    """Return a function that converts raw trips to JSON objects."""

    def convert(raw):
        options = {"orient": "records", "date_format": "iso", "date_unit": "us", "double_precision": 15}
        return json.loads(raw.to_pandas().to_json(**options))

    return convert
