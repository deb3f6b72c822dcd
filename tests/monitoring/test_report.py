"""The monitoring report as JSON."""

import json

from pydantic import TypeAdapter

from tests.support.monitored_year import monitor_year
from toytip.core.jsonable import to_json
from toytip.monitoring.report import MonitoringReport


def test_a_report_survives_json(model, year):
    report = monitor_year(model, year, labels_until="2021-10").report
    text = json.dumps(to_json(report))
    assert TypeAdapter(MonitoringReport).validate_python(json.loads(text)) == report
