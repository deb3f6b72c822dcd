"""scoring, serving and `toytip score`: the same probabilities as in the batch, to the last bit."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq
import pytest

from tests.support.runs import parse_summary, run_toytip, start_toytip
from tests.support.trips import GOOD_TRIP, REAL_DATA_DIR
from toytip.config import Settings
from toytip.errors import SchemaError
from toytip.models import resolve, scoring
from toytip.serving.app import make_app
from toytip.serving.rate_limit import RateLimiter
from toytip.serving.request import RequestLimits
from toytip.stages.clean import REQUIRED_TRIP_COLUMNS

TRIP = {name: value for name, value in GOOD_TRIP.items() if name not in ("tip_amount", "trip_type")}
TRIP["tpep_pickup_datetime"], TRIP["tpep_dropoff_datetime"] = TRIP.pop("pickup_at"), TRIP.pop("dropoff_at")


@pytest.fixture(scope="module")
def run(synthetic, tmp_path_factory):
    """A run's store, its source files, and its predictions: of real trips where they are there."""
    real = REAL_DATA_DIR / "green-2023"
    source, months = (real, "2023-01:2023-03") if real.is_dir() else (synthetic, "2020-01:2020-03")
    store = tmp_path_factory.mktemp("scored") / "store"
    args = ("--months", months, "--store", store, "--workers", 2, "--rounds", 20, "--gate", "on", "--json")
    told = parse_summary(run_toytip("run", "--source", source, *args))
    predictions = duckdb.sql(
        f"select trip_id, probability, prediction from read_parquet('{told['tables']['predictions']['path']}/*/*/*.parquet')"
    ).df()
    return store, sorted(source.glob("*.parquet"))[2], predictions.set_index("trip_id")


@pytest.fixture(scope="module")
def model(run):
    return resolve.load_model(Settings.load(store=str(run[0])), "champion")


@pytest.fixture(scope="module")
def thousand(run):
    """A thousand raw trips of the test month, and what the run published of them (nothing for those it rejected)."""
    _, file, predictions = run
    raw = pq.read_table(file).slice(0, 1_000)
    base = int(predictions.index.max()) // 10**9 * 10**9
    return raw, predictions.reindex(base + np.arange(1_000))


def as_json(raw):
    return json.loads(
        raw.to_pandas().to_json(orient="records", date_format="iso", date_unit="us", double_precision=15)
    )


class Caller:
    """Calls an ASGI application as a server does, without a socket."""

    def __init__(self, app):
        import httpx

        self._make = lambda: httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://toytip"
        )

    def all(self, *requests):
        async def calls():
            async with self._make() as client:
                return [await client.request(method, path, **more) for method, path, more in requests]

        return asyncio.run(calls())

    def post(self, body, path="/score", **more):
        sent = {"content": body} if isinstance(body, bytes) else {"json": body}
        return self.all(("POST", path, {**sent, **more}))[0]

    def get(self, path):
        return self.all(("GET", path, {}))[0]


@pytest.fixture(scope="module")
def app(model):
    return Caller(make_app(lambda _: model, RequestLimits(max_trips=1_000)))


def test_one_by_one_as_a_batch_and_through_the_pipeline_the_same_bits(run, thousand, app, tmp_path):
    raw, published = thousand
    trips = as_json(raw)
    batch = app.post(trips, "/score?reasons=0").json()["trips"]
    alone = [
        answer.json() for answer in app.all(*(("POST", "/score?reasons=0", {"json": trip}) for trip in trips))
    ]
    pq.write_table(raw, tmp_path / "trips.parquet")
    done = run_toytip(
        "score", tmp_path / "trips.parquet", "--store", run[0], "--out", tmp_path / "out.parquet"
    )
    assert done.returncode == 0, done.stderr
    filed = pq.read_table(tmp_path / "out.parquet").to_pandas()
    wanted = published["probability"].to_numpy(np.float32)
    kept = ~np.isnan(wanted)
    pickup = raw.column(1).to_pandas()
    outside = (pickup.dt.month != 3).to_numpy()
    assert kept.sum() > 900
    for found in (
        [answer.get("probability") for answer in alone],
        [answer.get("probability") for answer in batch],
        filed["probability"],
    ):
        bits = np.array([np.nan if p is None else p for p in found], np.float64).astype(np.float32)
        assert np.array_equal(bits.view(np.int32)[kept], wanted.view(np.int32)[kept])
        # Out of a file there is no month that a trip could be out of.
        assert np.array_equal(~np.isnan(bits[~kept]), outside[~kept])
    assert [a["prediction"] for a, k in zip(batch, kept, strict=True) if k] == published["prediction"][
        kept
    ].tolist()


def test_every_format_scores_the_same(run, thousand, tmp_path, invoke_cli):
    raw = thousand[0].slice(0, 50)
    pq.write_table(raw, tmp_path / "trips.parquet")
    pv.write_csv(raw, tmp_path / "trips.csv")
    (tmp_path / "trips.jsonl").write_text("\n".join(map(json.dumps, as_json(raw))))
    answers = []
    for kind in ("parquet", "csv", "jsonl"):
        done = invoke_cli(
            "score", tmp_path / f"trips.{kind}", "--store", run[0], "--out", tmp_path / "out.csv", "--json"
        )
        told = json.loads(done.stdout)
        assert told["scored"] + sum(told["rejected"].values()) == 50
        answers.append((tmp_path / "out.csv").read_bytes())
    assert answers[0] == answers[1] == answers[2]


def test_stdin_and_reasons(run, thousand):
    trip = as_json(thousand[0].slice(0, 1))[0]
    command = [sys.executable, "-m", "toytip", "score", "-", "--store", str(run[0]), "--reasons", "3"]
    done = subprocess.run(command, input=json.dumps(trip) + "\n", capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert len(told["reasons"]) == 3
    sizes = [abs(reason["log_odds"]) for reason in told["reasons"]]
    assert sizes == sorted(sizes, reverse=True)
    assert done.stderr.startswith("1 trips scored by v")


def test_reasons_add_up_to_the_log_odds(model):
    raw = scoring.trips_to_table([TRIP])
    told = scoring.score_trips(model, raw, shap_top=99)
    assert {reason["feature"] for reason in told.explanations[0]} == set(model.encoding.names)
    whole = sum(reason["log_odds"] for reason in told.explanations[0])
    base = model.encoding.positives / model.encoding.rows
    odds = np.log(told.probability[0] / (1 - told.probability[0]))
    assert odds == pytest.approx(whole + np.log(base / (1 - base)), abs=0.3)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({}, None),
        ({"passenger_count": None, "RatecodeID": None, "payment_type": None}, None),
        ({"PULocationID": 999, "DOLocationID": 264}, None),
        ({"tip_amount": -4.0, "total_amount": None}, "negative_tip"),
        ({"tip_amount": None}, None),
        ({"fare_amount": 0.0}, "non_positive_fare"),
        ({"trip_distance": None}, "missing_value"),
        ({"tpep_dropoff_datetime": "2023-01-10 07:00:00"}, "non_positive_duration"),
        (
            {"tpep_pickup_datetime": "1999-01-10 08:00:00", "tpep_dropoff_datetime": "1999-01-10 08:20:00"},
            None,
        ),
    ],
)
def test_trips_are_scored_or_rejected_by_the_rules_of_the_batch(change, rule, model):
    told = scoring.score_trips(model, scoring.trips_to_table([TRIP, {**TRIP, **change}]))
    assert told.rejected == [None, rule]
    assert np.isnan(told.probability[1]) == (rule is not None)


def test_what_a_model_does_not_need_may_be_missing(model):
    from dataclasses import replace

    early = replace(
        model.encoding, features=tuple(f for f in model.encoding.features if f.name == "pickup_hour")
    )
    small = replace(model, encoding=early)
    assert scoring.required_fields(small) == ("pickup_at",)
    trips = scoring.trips_to_table([{"tpep_pickup_datetime": "2023-01-10T08:00:00"}])
    assert scoring._conform_trips(small, trips)["fare_amount"].tolist() == [1.0]
    assert set(scoring.required_fields(model)) == set(REQUIRED_TRIP_COLUMNS) - {"tip_amount"}
    with pytest.raises(SchemaError, match="trips have no dropoff_at, which the model needs"):
        scoring.score_trips(model, trips)


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"{", 422, "the body is no JSON"),
        (b"[]", 422, "send a trip"),
        (b"7", 422, "send a trip"),
        (b'{"fare_amount": NaN}', 422, "NaN is no number"),
        (b"[" * 100_000, 422, "the body is no JSON"),
        (b"\xff\xfe", 422, "the body is no JSON"),
        ([TRIP, 3], 422, "a trip is an object"),
        ({**TRIP, "fare_amount": "much"}, 422, "fare_amount"),
        ({**TRIP, "fare_amount": 1e300}, 422, "fare_amount"),
        ({**TRIP, "PULocationID": 10**30}, 422, "PULocationID"),
        ({**TRIP, "PULocationID": 1.5}, 422, "PULocationID"),
        ({**TRIP, "tpep_pickup_datetime": "yesterday"}, 422, "tpep_pickup_datetime"),
        ({**TRIP, "tpep_pickup_datetime": "2023-01-10T08:00:00Z"}, 422, "tpep_pickup_datetime"),
        ({**TRIP, "tpep_pickup_datetime": 1673337600}, 422, "tpep_pickup_datetime"),
        ({k: v for k, v in TRIP.items() if k != "trip_distance"}, 422, "trip_distance"),
        ({**TRIP, "fare_amount": -3}, 422, "non_positive_fare"),
        ([TRIP] * 1_001, 413, "1001 trips are more than 1000"),
        (b'{"x": "' + b"a" * 1_000_000 + b'"}', 413, "larger than 1,000,000 bytes"),
    ],
)  # fmt: skip
def test_bad_requests_are_told_what_is_wrong(body, status, says, app):
    answer = app.post(body)
    assert answer.status_code == status
    assert says in answer.text


def test_in_a_batch_a_trip_that_is_none_does_not_spoil_the_others(app):
    answer = app.post({"trips": [TRIP, {**TRIP, "fare_amount": -3}]})
    good, bad = answer.json()["trips"]
    assert answer.status_code == 200
    assert good == {k: v for k, v in app.post(TRIP).json().items() if k in good}
    assert len(good["reasons"]) == 5
    assert bad == {"error": "no trip to score: non_positive_fare", "rejected": "non_positive_fare"}


def test_health_openapi_and_figures(app, model):
    assert app.get("/healthz").json() == {"status": "ok", "model_version": model.version}
    schema = app.get("/openapi.json").json()["paths"]["/score"]["post"]["requestBody"]
    assert app.post(schema["content"]["application/json"]["example"]).status_code == 200
    assert app.get("/docs").status_code == 200
    told = app.get("/metrics").text
    assert f'version="{model.version}"' in told
    assert 'toytip_requests_total{status="200"}' in told


def test_the_rate_of_a_client_is_limited(model):
    app = Caller(make_app(lambda _: model, RequestLimits(max_requests_per_second=0.5)))
    first, second = app.all(*[("POST", "/score", {"json": TRIP})] * 2)
    assert (first.status_code, second.status_code) == (200, 429)
    assert int(second.headers["Retry-After"]) >= 1
    buckets = RateLimiter(requests_per_second=10)
    assert [buckets.seconds_to_wait("a", 0.0) > 0 for _ in range(21)] == [False] * 20 + [True]
    assert buckets.seconds_to_wait("b", 0.0) == 0
    assert buckets.seconds_to_wait("a", 0.11) == 0


def test_a_model_that_cannot_be_read_does_not_stop_the_answers(model):
    from toytip.errors import RegistryError
    from toytip.serving.app import Server

    answers = iter([model, RegistryError("gone")])

    def load(_):
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return found

    server = Server(load, RequestLimits(), 1.0)
    server.reload()
    server.reload()
    assert server.model is model
    assert server.metrics.registry.get_sample_value("toytip_reloads_total", {"outcome": "failed"}) == 1


def ask(address, path, body=None):
    request = urllib.request.Request(address + path, body and json.dumps(body).encode())  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return answer.read().decode()


def test_a_server_takes_up_a_promoted_model_and_ends_in_order(run, model):
    store, file, _ = run
    months = "2023-01:2023-03" if "green" in file.name else "2020-01:2020-03"
    with start_toytip("serve", "--store", store, "--port", 0, "--reload-every", 0.3) as server:
        address = server.stderr.readline().split()[0]
        assert json.loads(ask(address, "/score", TRIP))["model_version"] == model.version
        args = (
            "--months",
            months,
            "--store",
            store,
            "--workers",
            2,
            "--rounds",
            60,
            "--gate",
            "on",
        )
        more = parse_summary(run_toytip("run", "--source", file.parent, *args, "--json"))
        assert more["promotion"]["decision"] == "promoted"
        deadline = time.monotonic() + 30
        while json.loads(ask(address, "/healthz"))["model_version"] == model.version:
            assert time.monotonic() < deadline, "it never took the new model up"
            time.sleep(0.2)
        assert json.loads(ask(address, "/healthz"))["model_version"] == more["model"]["version"]
        assert 'toytip_reloads_total{outcome="done"} 1.0' in ask(address, "/metrics")
        os.kill(server.pid, signal.SIGTERM)
        assert server.wait(20) == 0
        assert "stopped" in server.stderr.read()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"no trips\n", "neither parquet, nor CSV with a header, nor a JSON object a line"),
        (b'{"fare_amount": 3}\n{"fare_am', "line 2: no JSON object of a trip"),
        (b'{"fare_amount": "x"}\n', "line 1: fare_amount 'x' is no amount"),
        (b"PAR1 and no more", "cannot be read as trips"),
        (b"a,b\n1,2\n", "trips have no pickup_at"),
    ],
)
def test_broken_files_are_one_line(content, says, run, tmp_path, invoke_cli):
    (tmp_path / "trips").write_bytes(content)
    done = invoke_cli("score", tmp_path / "trips", "--store", run[0], "--out", tmp_path / "out.jsonl")
    assert done.returncode == 1
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out.jsonl").exists()


def test_an_out_of_no_known_kind_and_a_taken_port(run, invoke_cli, tmp_path):
    import socket

    assert (
        "name it .parquet, .csv or .jsonl"
        in invoke_cli("score", "x", "--store", run[0], "--out", "a.xls").stderr
    )
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        done = invoke_cli("serve", "--store", run[0], "--port", taken.getsockname()[1])
    assert (done.returncode, "choose another port, or 0 for any" in done.stderr) == (1, True)
    assert pa.__version__
