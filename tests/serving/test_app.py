"""The scoring server: answers, invalid requests, limits, metrics and reloads."""

import json
import os
import re
import signal
import time
import urllib.request

import pytest

from tests.support.runs import parse_summary, run_toytip, start_toytip
from tests.support.trips import SCORING_TRIP
from toytip.errors import RegistryError
from toytip.serving.app import Server
from toytip.serving.request import RequestLimits


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"{", 422, "the body is not JSON"),
        (b"[]", 422, "the body is not a trip"),
        (b"7", 422, "the body is not a trip"),
        (b'{"fare_amount": NaN}', 422, "NaN is not a number"),
        (b"[" * 100_000, 422, "the body is not JSON"),
        (b"\xff\xfe", 422, "the body is not JSON"),
        ([SCORING_TRIP, 3], 422, "a trip must be an object"),
        ({**SCORING_TRIP, "fare_amount": "much"}, 422, "fare_amount"),
        ({**SCORING_TRIP, "fare_amount": 1e300}, 422, "fare_amount"),
        ({**SCORING_TRIP, "PULocationID": 10**30}, 422, "PULocationID"),
        ({**SCORING_TRIP, "PULocationID": 1.5}, 422, "PULocationID"),
        ({**SCORING_TRIP, "tpep_pickup_datetime": "yesterday"}, 422, "tpep_pickup_datetime"),
        ({**SCORING_TRIP, "tpep_pickup_datetime": "2023-01-10T08:00:00Z"}, 422, "tpep_pickup_datetime"),
        ({**SCORING_TRIP, "tpep_pickup_datetime": 1673337600}, 422, "must be a local New York time"),
        ({k: v for k, v in SCORING_TRIP.items() if k != "trip_distance"}, 422, "trip_distance"),
        ({**SCORING_TRIP, "fare_amount": -3}, 422, "non_positive_fare"),
        ([SCORING_TRIP] * 1_001, 413, "1001 trips exceed the limit of 1000"),
        (b'{"x": "' + b"a" * 1_000_000 + b'"}', 413, "larger than 1,000,000 bytes"),
    ],
)
def test_invalid_requests_are_rejected_with_the_cause(body, status, message, app):
    answer = app.post(body)
    assert answer.status_code == status
    assert message in answer.text


def test_errors_name_the_trip_and_the_field(app):
    answer = app.post([SCORING_TRIP, {**SCORING_TRIP, "fare_amount": "much"}, 7])
    first, second = answer.json()["detail"]
    assert (first["trip"], first["field"]) == (1, "fare_amount")
    assert second == {"trip": 2, "field": "", "message": "a trip must be an object"}


def test_a_rejected_trip_does_not_affect_the_others(app):
    answer = app.post({"trips": [SCORING_TRIP, {**SCORING_TRIP, "fare_amount": -3}]})
    good, bad = answer.json()["trips"]
    assert answer.status_code == 200
    assert good == {k: v for k, v in app.post(SCORING_TRIP).json().items() if k in good}
    assert len(good["explanations"]) == 5
    assert set(good["explanations"][0]) == {"feature", "value", "log_odds"}
    assert bad == {
        "error": "cannot score the trip: rule non_positive_fare rejects it",
        "rejected": "non_positive_fare",
    }


@pytest.mark.parametrize(("shap_top", "count"), [(2, 2), (0, None), (-1, None), (99, 20)])
def test_the_number_of_explanations_is_limited(shap_top, count, app):
    explanations = app.post(SCORING_TRIP, f"/score?shap_top={shap_top}").json().get("explanations")
    assert (None if explanations is None else len(explanations)) == count


def test_health_openapi_and_metrics(app, scoring_model):
    assert app.get("/healthz").json() == {"status": "ok", "model_version": scoring_model.version}
    schema = app.get("/openapi.json").json()["paths"]["/score"]["post"]
    assert [parameter["name"] for parameter in schema["parameters"]] == ["shap_top"]
    example = schema["requestBody"]["content"]["application/json"]["example"]
    assert app.post(example).status_code == 200
    assert app.get("/docs").status_code == 200
    metrics = app.get("/metrics").text
    assert f'version="{scoring_model.version}"' in metrics
    assert 'toytip_requests_total{status="200"}' in metrics


def test_the_rate_of_a_client_is_limited(make_client):
    client = make_client(max_requests_per_second=0.5)
    first, second = client.send(*[("POST", "/score", {"json": SCORING_TRIP})] * 2)
    assert (first.status_code, second.status_code) == (200, 429)
    assert int(second.headers["Retry-After"]) >= 1
    assert "too many requests" in second.json()["detail"]


def test_a_failed_reload_keeps_the_model(scoring_model):
    models = iter([scoring_model, RegistryError("it does not exist")])

    def load(_):
        model = next(models)
        if isinstance(model, Exception):
            raise model
        return model

    server = Server(load, RequestLimits(), 1.0)
    server.reload()
    server.reload()
    assert server.model is scoring_model
    assert server.metrics.registry.get_sample_value("toytip_reloads_total", {"outcome": "failed"}) == 1


def request_text(address, path, body=None):
    request = urllib.request.Request(address + path, body and json.dumps(body).encode())  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return answer.read().decode()


def test_a_server_loads_a_promoted_model_and_stops_on_sigterm(model_run, scoring_model):
    store = model_run.store
    with start_toytip("serve", "--store", store, "--port", 0, "--reload-interval", 0.3) as server:
        (address,) = re.findall(r"http://[\d.:]+\d", server.stderr.readline())
        assert (
            json.loads(request_text(address, "/score", SCORING_TRIP))["model_version"]
            == scoring_model.version
        )
        options = ("--months", model_run.months, "--store", store, "--workers", 2, "--rounds", 60)
        source = model_run.files[0].parent
        summary = parse_summary(run_toytip("run", "--source", source, *options, "--gate", "on", "--json"))
        assert summary["promotion"]["decision"] == "promoted"
        deadline = time.monotonic() + 30
        while json.loads(request_text(address, "/healthz"))["model_version"] == scoring_model.version:
            assert time.monotonic() < deadline, "the server did not load the new model"
            time.sleep(0.2)
        version = json.loads(request_text(address, "/healthz"))["model_version"]
        assert version == summary["model"]["version"]
        assert 'toytip_reloads_total{outcome="done"} 1.0' in request_text(address, "/metrics")
        os.kill(server.pid, signal.SIGTERM)
        assert server.wait(20) == 0
        assert "stopped" in server.stderr.read()


def test_a_port_in_use_is_an_error(model_run, invoke_cli):
    import contextlib
    import socket

    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listening:
        done = invoke_cli("serve", "--store", model_run.store, "--port", listening.getsockname()[1])
    assert (done.returncode, "another" in done.stderr and "port" in done.stderr) == (1, True)
