"""The files of the guide "Run toytip every month", run as the guide shows them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.runs import parse_summary, run_toytip
from tests.system.test_docs import fenced
from toytip.api.store import open_store

GUIDE = "docs/how-to/run-every-month.md"
PLACE = "/srv/toytip"
ALERT = 3
ZONES = '"LocationID","Borough","Zone","service_zone"\n' + "".join(
    f'{number},"Queens","Zone {number}","Boro Zone"\n' for number in range(1, 266)
)


@pytest.fixture(scope="module")
def trained(real_months, tmp_path_factory):
    """The folder of the job: `toytip`, downloaded months, and a store with a champion."""
    place = tmp_path_factory.mktemp("guide")
    programs = place / ".venv" / "bin"
    programs.mkdir(parents=True)
    write_program(programs / "toytip", f'exec {sys.executable} -m toytip "$@"')
    write_program(programs / "mail", f'echo "$@" >> {place}/mail.txt; cat >> {place}/mail.txt')
    (place / "toytip-data").mkdir()
    for file in real_months:
        shutil.copy2(file, place / "toytip-data")
    (place / "toytip-data" / "taxi_zone_lookup.csv").write_text(ZONES)
    (command,) = (line for line in fenced(GUIDE, "sh")[0].splitlines() if line.startswith("toytip run"))
    options = command.replace("2023-01:2023-11", "2023-01:2023-03").split()[1:]
    extra = ("--store", place / "store", "--rounds", 30, "--workers", 2, "--gate", "on", "--json")
    summary = parse_summary(run_toytip(*options, *extra, cwd=place))
    assert summary["status"] == "passed"
    return place


@pytest.fixture(scope="module")
def real_months():
    from tests.support.trips import REAL_DATA_DIR

    files = [REAL_DATA_DIR / "green-2023" / f"green_tripdata_2023-0{month}.parquet" for month in range(1, 6)]
    if not files[0].is_file():
        pytest.skip(f"no published months in {REAL_DATA_DIR} (set TOYTIP_TEST_DATA to their folder)")
    return files


def write_program(path, command):
    path.write_text(f"#!/usr/bin/env bash\n{command}\n")
    path.chmod(0o755)


def run_script(code, place, *arguments, **env):
    """Run a script of the guide, with the folder of the job in place of the folder of the guide."""
    script = place / "script.sh"
    script.write_text(code.replace(PLACE, str(place)))
    environment = {**os.environ, "PATH": f"{place / '.venv' / 'bin'}:{os.environ['PATH']}", **env}
    return subprocess.run(
        ["bash", script, *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        cwd=place,
        env=environment,
    )


@pytest.mark.cluster
def test_the_script_scores_a_month_and_sends_mail(trained):
    (script,) = fenced(GUIDE, "bash")
    scored = run_script(script, trained, "2023-04")
    assert scored.returncode in (0, ALERT), scored.stderr + scored.stdout
    runs = open_store(trained / "store").runs()
    assert runs.iloc[0]["months"] == ["2023-04"]
    assert runs.iloc[0]["is_current"]
    assert (trained / "mail.txt").exists() == (scored.returncode == ALERT)
    failed = run_script(script, trained, "1999-13")
    assert failed.returncode not in (0, ALERT)
    assert "toytip: error in 1999-13 team@example.com" in (trained / "mail.txt").read_text()


@pytest.mark.cluster
def test_the_step_of_the_workflow_scores_a_month(trained):
    (workflow,) = (yaml.safe_load(text) for text in fenced(GUIDE, "yaml"))
    (job,) = workflow["jobs"].values()
    script = job["steps"][-1]["run"]
    env = {"MONTH": "2023-05", "TOYTIP_STORE": str(trained / "store")}
    scored = run_script(script, trained, **env)
    assert scored.returncode in (0, ALERT), scored.stderr
    assert open_store(trained / "store").runs().iloc[0]["months"] == ["2023-05"]


def test_the_line_of_cron_names_the_script():
    (line,) = (block for block in fenced(GUIDE, "text") if "monthly.sh" in block)
    assert re.fullmatch(rf"(\S+ +){{5}}{PLACE}/monthly\.sh >> {PLACE}/monthly\.log 2>&1\n", line)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_the_units_of_systemd_are_valid(tmp_path):
    script = tmp_path / "monthly.sh"
    write_program(script, "true")
    names = ("toytip-monthly.service", "toytip-monthly.timer")
    for name, content in zip(names, fenced(GUIDE, "ini"), strict=True):
        text = content.replace(f"{PLACE}/monthly.sh", str(script)).replace("User=toytip\n", "")
        (tmp_path / name).write_text(text)
    checked = subprocess.run(
        ["systemd-analyze", "verify", *(tmp_path / name for name in names)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert not [line for line in checked.stderr.splitlines() if str(tmp_path) in line]


def test_the_dag_of_airflow_compiles():
    (code,) = fenced(GUIDE, "python")
    compile(code, Path(GUIDE).name, "exec")
