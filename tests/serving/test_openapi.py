"""The OpenAPI schema describes the trips that the server accepts, and its responses."""

import os
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from tests.support.any_trips import FUZZ_EXAMPLES
from tests.support.models import register, train_model
from tests.support.runs import start_toytip
from tests.support.trips import SCORING_TRIP
from toytip.serving.app import Server, make_app
from toytip.serving.request import RequestLimits

# JSON Schema cannot express that the dropoff is after the pickup: the server rejects such a trip.
SCHEMATHESIS_TOML = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "422"]

[checks.negative_data_rejection]
expected-statuses = ["405", "413", "422"]
"""
LATE_PICKUP = {**SCORING_TRIP, "tpep_pickup_datetime": "2023-01-11T08:00:00"}


def validator(client, schema):
    components = client.get("/openapi.json").json()["components"]
    return jsonschema.Draft202012Validator({**schema, "components": components})


def schema_of_body(client):
    operation = client.get("/openapi.json").json()["paths"]["/score"]["post"]
    return validator(client, operation["requestBody"]["content"]["application/json"]["schema"])


@pytest.mark.parametrize(
    ("body", "is_valid"),
    [
        (SCORING_TRIP, True),
        ([SCORING_TRIP, {**SCORING_TRIP, "note": [1]}], True),
        ({"trips": [SCORING_TRIP]}, True),
        ({**SCORING_TRIP, "fare_amount": "12.50", "VendorID": "2", "payment_type": 2.0}, True),
        ({**SCORING_TRIP, "extra": None, "RatecodeID": "N/A", "mta_tax": "", "tolls_amount": "\\N"}, True),
        ([], False),
        ([3], False),
        ([SCORING_TRIP] * 6, False),
        ({name: value for name, value in SCORING_TRIP.items() if name != "VendorID"}, False),
        ({**SCORING_TRIP, "fare_amount": None}, False),
        ({**SCORING_TRIP, "fare_amount": 1e13}, False),
        ({**SCORING_TRIP, "VendorID": 1.5}, False),
        ({**SCORING_TRIP, "VendorID": True}, False),
        ({**SCORING_TRIP, "extra": "ten"}, False),
        ({**SCORING_TRIP, "tpep_pickup_datetime": 1_673_337_600}, False),
    ],
)
def test_the_schema_describes_the_accepted_bodies(body, is_valid, make_client):
    client = make_client(max_trips=5)
    assert schema_of_body(client).is_valid(body) == is_valid
    assert (client.post(body).status_code == 200) == is_valid


@pytest.mark.parametrize(
    ("body", "query", "status"),
    [
        (SCORING_TRIP, "", 200),
        (SCORING_TRIP, "?shap_top=0", 200),
        ([SCORING_TRIP, LATE_PICKUP], "", 200),
        (LATE_PICKUP, "", 422),
        ({**SCORING_TRIP, "fare_amount": "ten"}, "", 422),
        (SCORING_TRIP, "?shap_top=x", 422),
        ([], "", 422),
        ([SCORING_TRIP] * 6, "", 413),
        (SCORING_TRIP, "", 429),
    ],
)
def test_the_schema_describes_the_responses(body, query, status, make_client):
    client = make_client(max_trips=5, max_requests_per_second=0.5 if status == 429 else 0)
    if status == 429:
        client.post(SCORING_TRIP)
    answer = client.post(body, f"/score{query}")
    responses = client.get("/openapi.json").json()["paths"]["/score"]["post"]["responses"]
    assert answer.status_code == status
    assert set(responses) == {"200", "413", "422", "429", "503"}
    assert set(responses[str(status)].get("headers", ())) <= {name.title() for name in answer.headers}
    validator(client, responses[str(status)]["content"]["application/json"]["schema"]).validate(answer.json())


def test_the_schema_follows_the_models(served_model):
    """Another model can be promoted while the server runs, and can need other columns."""
    models = {"yellow": served_model}
    server = Server(lambda _: dict(models), RequestLimits())
    server.reload()
    app = make_app(server)
    assert set(app.openapi()["components"]["schemas"]) > {"YellowTrip"}
    models["green"] = train_model("green")
    server.reload()
    green = app.openapi()["components"]["schemas"]["GreenTrip"]
    assert {"lpep_pickup_datetime", "trip_type"} < set(green["properties"])


@pytest.mark.fuzz
@pytest.mark.timeout(0)
def test_a_server_does_what_its_schema_says(tmp_path):
    """Schemathesis sends valid and invalid requests to a server, and applies all of its checks."""
    program = Path(sys.executable).with_name("schemathesis")
    config = tmp_path / "schemathesis.toml"
    config.write_text(SCHEMATHESIS_TOML)
    for model in (train_model("yellow"), train_model("green", "card")):
        register(tmp_path / "store", model)
    options = ("--port", 0, "--max-trips", 20, "--no-access-log")
    with start_toytip("serve", "--store", tmp_path / "store", *options) as server:
        *_, listening = (server.stderr.readline() for _ in range(5))
        (address,) = re.findall(r"http://[\d.:]+\d", listening)
        examples = ("--max-examples", str(FUZZ_EXAMPLES or 50), "--no-color")
        command = (
            str(program),
            "--config-file",
            str(config),
            "run",
            f"{address}/openapi.json",
            "--checks",
            "all",
        )
        environment = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.support.schemathesis_hooks"}
        result = subprocess.run(
            [*command, *examples],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).parents[2],
        )
    assert result.returncode == 0, result.stdout[:10_000] + result.stderr[:2_000]
