"""The scoring server: answers, invalid requests, limits, metrics and reloads."""

import asyncio
import contextlib
import gzip
import html
import json
import os
import re
import shlex
import shutil
import signal
import socket
import time
import urllib.error
import urllib.request
import zlib
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.support.models import register, train_model
from tests.support.runs import run_toytip, start_toytip
from tests.support.trips import SCORING_TRIP
from toytip.cli.serve import listen
from toytip.errors import RegistryError
from toytip.models import trip_columns
from toytip.serving.app import Server
from toytip.serving.request import RequestLimits


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"{", 422, "the body is not JSON"),
        (b"[]", 422, "the body is not a trip"),
        (b"7", 422, "the body is not a trip"),
        (b'{"fare_amount": NaN}', 422, "NaN is not a number"),
        (b"[" * 100_000, 422, "the values are nested too deeply"),
        (b"\xff\xfe", 422, "the body is not JSON"),
        (b"VendorID,fare_amount\n1,2\n", 422, "Send one trip as a JSON object, or several trips as a list"),
        (gzip.compress(json.dumps(SCORING_TRIP).encode(), mtime=0), 422, "compressed (send plain JSON)"),
        (b'{"VendorID": 1, "VendorID": 2}', 422, "the key 'VendorID' occurs 2 times in an object"),
        # A comparison of all keys with each other would take minutes.
        (
            b'{"fare_amount": 1, "fare_amount": 2%s}' % b"".join(b',"%x":1' % i for i in range(90_000)),
            422,
            "the key 'fare_amount' occurs 2 times in an object",
        ),
        (
            b'{"fare_amount": 1%s, "15f8f": 2}' % b"".join(b',"%x":1' % i for i in range(90_000)),
            422,
            "the key '15f8f' occurs 2 times in an object",
        ),
        (
            b'{"columns": ["VendorID"], "index": [0], "data": [[1]]}',
            422,
            "(it has 'columns', 'index', 'data')",
        ),
        ({"0": SCORING_TRIP}, 422, "no key of the object is a column of trips (it has '0')"),
        ([SCORING_TRIP, {"trips": [SCORING_TRIP]}], 422, "(it has 'trips'). Send one trip as a JSON object"),
        (b"\xe9", 422, "(byte 0 is not text in UTF-8)"),
        (b'{"VendorID": {"0": 1}, "fare_amount": {"0": 7.5}, "note": 3}', 422, "orient='records'"),
        (b'{"VendorID": [1, 2], "fare_amount": [7.5, 8]}', 422, "orient='records'"),
        (b'{"tolls_amount": 1e999}', 422, "tolls_amount"),
        (b'{"VendorID": ' + b"9" * 5_000 + b"}", 422, "a number has too many digits"),
        ([SCORING_TRIP, 3], 422, "a trip must be an object"),
        ({**SCORING_TRIP, "fare_amount": "much"}, 422, "fare_amount"),
        ({**SCORING_TRIP, "fare_amount": 1e300}, 422, "fare_amount"),
        ({**SCORING_TRIP, "PULocationID": 10**30}, 422, "PULocationID"),
        ({**SCORING_TRIP, "PULocationID": 1.5}, 422, "PULocationID"),
        ({**SCORING_TRIP, "tpep_pickup_datetime": "yesterday"}, 422, "tpep_pickup_datetime"),
        ({**SCORING_TRIP, "tpep_pickup_datetime": 1673337600}, 422, "must be a time as text, in New York"),
        ({**SCORING_TRIP, "payment_type": True}, 422, "must be a whole number of at most 16,777,216"),
        ({**SCORING_TRIP, "fare_amount": ""}, 422, "is null, and the model needs a value"),
        ({**SCORING_TRIP, "Fare_Amount": 9}, 422, "is the same field as fare_amount"),
        (
            {**SCORING_TRIP, "lpep_pickup_datetime": "2023-01-10 08:00"},
            422,
            "is the same field as tpep_pickup_datetime",
        ),
        ({k: v for k, v in SCORING_TRIP.items() if k != "trip_distance"}, 422, "trip_distance"),
        ({**SCORING_TRIP, "fare_amount": -3}, 422, "non_positive_fare"),
        ([SCORING_TRIP] * 1_001, 413, "1,001 trips exceed the limit of 1,000"),
        (b'{"x": "' + b"a" * 1_000_000 + b'"}', 413, "larger than 1,000,000 bytes"),
    ],
)
def test_invalid_requests_are_rejected_with_the_cause(body, status, message, app):
    answer = app.post(body)
    assert answer.status_code == status
    assert message in answer.text


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, br"])
def test_a_compressed_body_is_rejected(encoding, app):
    options = {"content": zlib.compress(json.dumps(SCORING_TRIP).encode())}
    (answer,) = app.send(("POST", "/score", {**options, "headers": {"Content-Encoding": encoding}}))
    assert answer.status_code == 422
    assert "the body is compressed (send plain JSON)" in answer.json()["detail"]


def test_a_body_can_have_the_header_of_plain_content(app):
    options = {"json": SCORING_TRIP, "headers": {"Content-Encoding": "Identity"}}
    (answer,) = app.send(("POST", "/score", options))
    assert answer.json() == app.post(SCORING_TRIP).json()


def test_errors_name_the_trip_and_the_field(app):
    answer = app.post([SCORING_TRIP, {**SCORING_TRIP, "fare_amount": "much"}, 7])
    first, second = answer.json()["detail"]
    assert (first["trip"], first["field"]) == (1, "fare_amount")
    assert second == {"trip": 2, "field": "", "message": "a trip must be an object"}


def test_a_time_with_an_offset_is_the_same_trip(app):
    """The rule is that of files: an instant becomes the time in New York."""
    expected = app.post(SCORING_TRIP).json()
    for form in ("2023-01-10T{}:00:00Z", "2023-01-10 {}:00:00.000000001+00:00", " 2023-01-10T{}:00:00 UTC"):
        instants = {"tpep_pickup_datetime": form.format(13), "tpep_dropoff_datetime": "2023-01-10T08:20:00"}
        assert app.post({**SCORING_TRIP, **instants}).json() == expected
    texts = {name: f" {value} " for name, value in SCORING_TRIP.items() if name.endswith(("ID", "amount"))}
    assert app.post({**SCORING_TRIP, **texts}).json() == expected


def test_a_rejected_trip_does_not_affect_the_others(app):
    answer = app.post({"trips": [SCORING_TRIP, {**SCORING_TRIP, "fare_amount": -3}]})
    good, bad = answer.json()["trips"]
    assert answer.status_code == 200
    assert good == {k: v for k, v in app.post(SCORING_TRIP).json().items() if k in good}
    assert len(good["explanations"]) == 5
    assert set(good["explanations"][0]) == {"feature", "value", "log_odds"}
    assert bad == {
        "probability": None,
        "prediction": None,
        "error": "cannot score the trip: rule non_positive_fare rejects it",
        "reason": "non_positive_fare",
    }


def test_a_trip_outside_of_the_segment_has_no_probability(make_client):
    """The status of a single trip is 422, as for a trip that a cleaning rule rejects."""
    client = make_client(train_model("yellow", "card"))
    cash = {**SCORING_TRIP, "payment_type": 2}
    expected = {
        "probability": None,
        "prediction": None,
        "error": "cannot score the trip: the model scores only trips of segment card (payment_type 1)",
        "reason": "outside_segment",
    }
    alone = client.post(cash)
    assert (alone.status_code, expected.items() <= alone.json().items()) == (422, True)
    several = client.post([SCORING_TRIP, cash, {**SCORING_TRIP, "payment_type": None}])
    scored, *unscored = several.json()["trips"]
    assert (several.status_code, scored["probability"] is None, unscored) == (200, False, [expected] * 2)
    metrics = client.get("/metrics").text
    assert 'toytip_trips_total{outcome="scored"} 1.0' in metrics
    assert 'toytip_trips_total{outcome="outside_segment"} 3.0' in metrics


def test_errors_name_every_missing_column_as_the_tlc_does(make_client):
    client = make_client(train_model("green"))
    trip = {name.replace("tpep", "lpep"): value for name, value in SCORING_TRIP.items()} | {"trip_type": 1}
    missing = ("lpep_dropoff_datetime", "trip_type", "extra", "congestion_surcharge")
    incomplete = {name: value for name, value in trip.items() if name not in missing}
    nulls = {**trip, "trip_type": None, "extra": None, "passenger_count": None, "lpep_pickup_datetime": None}
    answer = client.post([trip, incomplete, nulls])
    assert answer.status_code == 422
    needed = "is missing, and the model needs it"
    assert answer.json()["detail"] == [
        *({"trip": 1, "field": name, "message": needed} for name in missing),
        {"trip": 2, "field": "lpep_pickup_datetime", "message": "is null, and the model needs a value"},
    ]


@pytest.mark.parametrize(("shap_top", "count"), [(2, 2), (0, None), (-1, None), (99, 20)])
def test_the_number_of_explanations_is_limited(shap_top, count, app):
    explanations = app.post(SCORING_TRIP, f"/score?shap_top={shap_top}").json().get("explanations")
    assert (None if explanations is None else len(explanations)) == count


def test_health_openapi_and_metrics(app, served_model):
    assert app.get("/healthz").json() == {"status": "ok", "models": {"yellow": served_model.version}}
    schema = app.get("/openapi.json").json()["paths"]["/score"]["post"]
    assert [parameter["name"] for parameter in schema["parameters"]] == ["shap_top"]
    example = schema["requestBody"]["content"]["application/json"]["example"]
    assert app.post(example).status_code == 200
    metrics = app.get("/metrics").text
    assert f'taxi="yellow",threshold="{served_model.threshold}",version="{served_model.version}"' in metrics
    assert 'toytip_requests_total{status="200"}' in metrics


@pytest.mark.parametrize("path", ["/", "/docs", "/healthz", "/metrics"])
def test_a_request_for_the_headers_only(path, app):
    headers, page = app.send(("HEAD", path, {}), ("GET", path, {}))
    assert (headers.status_code, headers.headers["content-type"]) == (200, page.headers["content-type"])


def test_the_example_of_the_guide_is_complete(make_client):
    """The request of `curl` in the guide has all columns of a model of green taxis."""
    page = Path(__file__).parents[2] / "docs" / "how-to" / "serve-a-model.md"
    (body,) = re.findall(r"curl -s localhost:8000/score -d '(.*?)'", page.read_text(), re.DOTALL)
    answer = make_client(train_model("green")).post(body.encode())
    assert answer.status_code == 200, answer.text
    assert 0 < answer.json()["probability"] < 1


def test_the_pages_name_the_models_and_work_offline(make_client, served_model):
    green = train_model("green", "card", "v-<green>")
    client = make_client(served_model, green)
    start = client.get("/").json()
    models = {model["taxi"]: model for model in start["models"]}
    assert (models["green"]["version"], models["green"]["segment"]) == ("v-<green>", "card")
    assert models["yellow"]["required_columns"] == list(trip_columns.required_columns(served_model))
    methods = [endpoint.split() for endpoint in start["endpoints"]]
    assert all(client.get(path).status_code == 200 for method, path in methods if method == "GET")
    page = client.get("/docs").text
    assert "v-&lt;green&gt;" in page
    assert not re.search(r"<script|<link|@import|url\(|src=", page)
    # The commands of the page score a trip.
    for command in re.findall(r"<pre>(.*?)</pre>", page):
        *_, body = shlex.split(html.unescape(command))
        assert client.post(body.encode()).status_code == 200


def test_the_rate_of_a_client_is_limited(make_client):
    client = make_client(max_requests_per_second=0.5)
    first, second = client.send(*[("POST", "/score", {"json": SCORING_TRIP})] * 2)
    assert (first.status_code, second.status_code) == (200, 429)
    assert int(second.headers["Retry-After"]) >= 1
    assert "too many requests" in second.json()["detail"]


def test_a_failed_reload_keeps_the_models(served_model):
    models = iter([{"yellow": served_model}, RegistryError("it does not exist")])

    def load(_):
        model = next(models)
        if isinstance(model, Exception):
            raise model
        return model

    server = Server(load, RequestLimits(), 1.0)
    server.reload()
    server.reload()
    assert server.models == {"yellow": served_model}
    assert server.metrics.registry.get_sample_value("toytip_reloads_total", {"outcome": "failed"}) == 1


def request_text(address, path, body=None):
    request = urllib.request.Request(address + path, body and json.dumps(body).encode())  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return answer.read().decode()


def test_a_server_loads_promoted_models_and_stops_on_sigterm(model_store, tmp_path):
    """A server serves one champion per taxi type, and the columns of a trip select the champion."""
    store = shutil.copytree(model_store, tmp_path / "store")
    green_trip = {name.replace("tpep", "lpep"): value for name, value in SCORING_TRIP.items()} | {
        "trip_type": 1
    }

    def answers(trip):
        try:
            return json.loads(request_text(address, "/score", trip))["model_version"]
        except urllib.error.HTTPError as error:
            return json.loads(error.read())["detail"]

    def wait_for(trip, expected):
        deadline = time.monotonic() + 60
        while answers(trip) != expected:
            assert time.monotonic() < deadline, "the server did not load the new model"
            time.sleep(0.2)

    with start_toytip("serve", "--store", store, "--port", 0, "--reload-interval", 0.3) as server:
        model, columns, listening = (server.stderr.readline() for _ in range(3))
        assert model == "serving model v1 (registered model 1, yellow taxis, segment all)\n"
        assert columns.startswith("  required columns: tpep_pickup_datetime, ")
        (address,) = re.findall(r"http://[\d.:]+\d", listening)
        assert answers(SCORING_TRIP) == "v1"
        refused = "cannot score trips of green taxis: the model was trained on yellow taxis"
        assert answers(green_trip) == refused
        register(store, train_model("green", version="v-green"))
        wait_for(green_trip, "v-green")
        register(store, train_model("yellow", version="v2"))
        wait_for(SCORING_TRIP, "v2")
        assert json.loads(request_text(address, "/healthz"))["models"] == {"yellow": "v2", "green": "v-green"}
        assert 'toytip_reloads_total{outcome="done"} 2.0' in request_text(address, "/metrics")
        os.kill(server.pid, signal.SIGTERM)
        assert server.wait(20) == 0
        assert "stopped" in server.stderr.read()


def test_a_second_ctrl_c_ends_a_request_that_waits_for_its_client(model_store):
    head = b"POST /score HTTP/1.1\r\nHost: toytip\r\nContent-Length: 500\r\n\r\n{"
    with start_toytip("serve", "--store", model_store, "--port", 0) as server:
        _, _, listening = (server.stderr.readline() for _ in range(3))
        address = "127.0.0.1", int(re.findall(r":(\d+);", listening)[0])
        with socket.create_connection(address) as client:
            client.sendall(head)
            request_text(f"http://127.0.0.1:{address[1]}", "/healthz")  # the server has the other request
            server.stderr.readline()
            os.kill(server.pid, signal.SIGINT)
            with contextlib.suppress(OSError):
                while True:  # until the first signal has closed the port
                    socket.create_connection(address).close()
            os.kill(server.pid, signal.SIGINT)
            answer = b"".join(iter(partial(client.recv, 4096), b""))
        assert server.wait(60) == 130
        log, end = server.stderr.read().splitlines()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert answer.endswith(b'{"detail":"cannot answer the request: the server is stopping"}')
    assert "POST /score 503" in log
    assert end == "stopped"


def test_a_request_has_trips_of_one_taxi_type(make_client, served_model):
    client = make_client(served_model, train_model("green"))
    green_trip = {name.replace("tpep", "lpep"): value for name, value in SCORING_TRIP.items()} | {
        "trip_type": 1
    }
    neutral_trip = {name.replace("lpep_pickup_datetime", "pickup_at"): v for name, v in green_trip.items()}
    first, second = client.post([green_trip, neutral_trip]).json()["trips"]
    assert first == second
    for body, message in (
        ([green_trip, SCORING_TRIP], "the list has trips of yellow and green taxis"),
        (neutral_trip, "the trips have no column tpep_pickup_datetime or lpep_pickup_datetime"),
    ):
        answer = client.post(body)
        assert answer.status_code == 422
        assert message in answer.json()["detail"]


@pytest.mark.parametrize(
    ("host", "port", "cause"),
    [
        ("127.0.0.1", 65_536, "port must be 0-65535."),
        ("192.0.2.1", 0, "cannot assign requested address"),
        ("\udcff", 0, "encoding of hostname failed"),
    ],
)
def test_an_address_that_cannot_be_used_is_an_error(host, port, cause, model_store):
    done = run_toytip("serve", "--store", model_store, "--host", host, "--port", port)
    *_, error, hint = done.stderr.splitlines()
    assert done.returncode == 1
    assert error.startswith("error: cannot listen on --host ")
    assert error.endswith(f": {cause}")
    assert hint == "hint: Choose another --host, or another --port (0 for any free port)."


def test_a_port_in_use_is_an_error(model_store, invoke_cli):
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listening:
        done = invoke_cli("serve", "--store", model_store, "--port", listening.getsockname()[1])
    assert (done.returncode, "another" in done.stderr and "port" in done.stderr) == (1, True)


def test_trips_can_spell_their_columns_differently(make_client, served_model):
    """An empty name is not the name of a column that a trip leaves out."""
    features = tuple(
        replace(feature, absent_in_training=feature.name == "congestion_surcharge")
        for feature in served_model.encoding.features
    )
    client = make_client(replace(served_model, encoding=replace(served_model.encoding, features=features)))
    usual = {**SCORING_TRIP, "congestion_surcharge": None}
    lower = {name.lower(): value for name, value in usual.items()}
    shorter = {name: value for name, value in usual.items() if name != "congestion_surcharge"} | {"": 1e9}
    scores = client.post([usual, lower, shorter], "/score?shap_top=30").json()["trips"]
    assert scores[0]["probability"] is not None
    assert scores == [scores[0]] * 3


def test_the_body_of_a_response_does_not_wait_for_an_acknowledgment():
    """asyncio does not set the option, because the listening socket has no explicit protocol."""
    with listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        connection, _ = listening.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_the_access_log_has_one_line_per_request(make_client):
    lines = []
    client = make_client(write_access_log=lines.append)
    client.post([SCORING_TRIP] * 3)
    client.post(b"{")
    client.get("/healthz?x=1")
    client.get("/a%0Ab")
    pattern = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d 127.0.0.1 (\w+ \S+ \d+) \d+\.\d ms(.*)"
    assert [re.fullmatch(pattern, line).groups() for line in lines] == [
        ("POST /score 200", " 3 trips"),
        ("POST /score 422", ""),
        ("GET /healthz 200", ""),
        ("GET /a%0Ab 404", ""),
    ]


def test_a_client_that_hangs_up_is_not_an_error_of_the_server(make_client):
    lines, client = [], None
    client = make_client(write_access_log=lines.append)
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/score",
        "headers": [],
        "query_string": b"",
        "client": ("127.0.0.1", 1),
    }
    messages = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])

    async def receive():
        return next(messages)

    async def send(_message):
        pass

    asyncio.run(client.app(scope, receive, send))
    assert "POST /score 499" in lines[0]
    assert 'toytip_requests_total{status="499"} 1.0' in client.get("/metrics").text


def test_an_unexpected_error_does_not_end_the_reloads(served_model):
    """Otherwise, the server would serve its first model until it is restarted."""
    errors = iter([KeyError("x"), RegistryError("y")])
    done = asyncio.Event()

    def load(current):
        if not current:
            return {"yellow": served_model}
        error = next(errors, None)
        if error is None:
            done.set()
            return current
        raise error

    async def run():
        server = Server(load, RequestLimits(), 0.01)
        server.reload()
        task = asyncio.create_task(server.reload_periodically())
        await asyncio.wait_for(done.wait(), 30)
        task.cancel()
        return server

    server = asyncio.run(run())
    assert server.models == {"yellow": served_model}
    assert server.metrics.registry.get_sample_value("toytip_reloads_total", {"outcome": "failed"}) == 2
