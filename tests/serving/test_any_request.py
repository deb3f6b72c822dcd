"""Whatever a client sends, the server answers, without an error of its own."""

import json
import logging

import httpx
from hypothesis import given
from hypothesis import strategies as st

from tests.serving.conftest import make_app_client
from tests.support.any_trips import law
from tests.support.models import train_model
from tests.support.trips import SCORING_TRIP
from toytip.serving.request import RequestLimits

CLIENT = make_app_client({"yellow": train_model("yellow")}, RequestLimits(max_trips=5, max_bytes=5_000))

# All characters, also those that UTF-8 lacks.
TEXTS = st.text(st.characters(exclude_categories=()), max_size=20)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats()
    | TEXTS
    | st.sampled_from(["NaN", "1", "1.0", "1_4", "2023-12-01T08:15:00", "2023-12-01T08:15:00.000Z", ""])
    | st.sampled_from(["1701418500000", "12/1/2023 8:15 AM", "0001-01-01", "9999-12-31T23:59:59.999999"])
    | st.integers(0, 2 * 10**12),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(TEXTS, values, max_size=3),
    max_leaves=5,
)
FIELD_NAMES = st.sampled_from([*SCORING_TRIP, "vendorid", "pickup_at", "lpep_pickup_datetime", "tip_amount"])
CHANGES = st.dictionaries(FIELD_NAMES | TEXTS, VALUES, max_size=4)
TRIPS = st.builds(
    lambda changes, removed: {
        name: value for name, value in {**SCORING_TRIP, **changes}.items() if name not in removed
    },
    CHANGES,
    st.sets(FIELD_NAMES, max_size=2),
)
BODIES = (
    TRIPS
    | st.lists(TRIPS | VALUES, max_size=6)
    | st.fixed_dictionaries({"trips": st.lists(TRIPS, max_size=3) | VALUES})
    | VALUES
).map(lambda body: json.dumps(body).encode()) | st.binary(max_size=200)
CONTENT_TYPES = st.sampled_from(
    ["application/json", "text/csv", "multipart/form-data", "", "x/y; charset=\xe4"]
)
QUERIES = st.sampled_from(
    ["", "?shap_top=0", "?shap_top=-1", "?shap_top=99999999999999999999", "?shap_top=x"]
)


@law(300)
@given(BODIES, CONTENT_TYPES, QUERIES, st.sampled_from(["POST", "PUT", "GET"]))
def test_every_body_has_an_answer_in_json(body, content_type, query, method):
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    logging.getLogger().addHandler(handler)
    headers = [(b"content-type", content_type.encode("latin-1"))]
    try:
        # The client raises the errors of the application.
        (answer,) = CLIENT.send((method, f"/score{query}", {"content": body, "headers": headers}))
    finally:
        logging.getLogger().removeHandler(handler)
    assert answer.status_code in ({200, 413, 422} if method == "POST" else {405})
    assert isinstance(answer.json(), dict)
    assert answer.content.isascii()
    assert not [record for record in records if record.levelno >= logging.WARNING]


def test_a_key_that_utf8_lacks_is_not_an_error():
    for name in ("\ud800", "VendorID\ud800"):
        body = json.dumps({**SCORING_TRIP, name: "\udfff"}).encode()
        (answer,) = CLIENT.send(("POST", "/score", {"content": body}))
        assert answer.status_code in {200, 422}
        assert isinstance(answer, httpx.Response)
