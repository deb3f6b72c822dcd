"""Tests of the comparison of versions between processes."""

import re
import shutil
from pathlib import Path

import distributed
import pytest

import toytip
from tests.support.clusters import run_dask_cluster
from tests.support.runs import run_toytip
from toytip.cluster import package_versions, versions

PACKAGE = Path(toytip.__file__).parent


def copy_package(folder):
    return shutil.copytree(PACKAGE, folder / "toytip", ignore=shutil.ignore_patterns("__pycache__"))


@pytest.mark.parametrize("module", ["config.py", "cluster/workers.py", "report/sections/data.py"])
def test_the_digest_covers_modules_at_every_depth(module, tmp_path):
    copy = copy_package(tmp_path)
    assert (
        package_versions._code_digest(copy)
        == package_versions._code_digest(PACKAGE)
        == package_versions._code_digest()
    )
    with (copy / module).open("a") as file:
        file.write("# changed\n")
    assert package_versions._code_digest(copy) != package_versions._code_digest()


def test_the_digest_covers_the_names_of_modules(tmp_path):
    copy = copy_package(tmp_path)
    sections = copy / "report" / "sections"
    (sections / "data.py").rename(sections / "other.py")
    assert package_versions._code_digest(copy) != package_versions._code_digest()


@pytest.mark.cluster
def test_workers_with_other_code_are_rejected(synthetic, tmp_path):
    """Both workers that join later, and those that already run."""
    with (copy_package(tmp_path / "other") / "report" / "sections" / "data.py").open("a") as module:
        module.write("# changed\n")
    other_code = {"PYTHONPATH": str(tmp_path / "other")}
    with (
        run_dask_cluster(tmp_path, 1) as (address, _, add_worker),
        distributed.Client(address) as client,
        versions.require_same(client),
    ):
        late = add_worker(**other_code)
        late.wait(60)
        assert len(client.nthreads()) == 1
    with run_dask_cluster(tmp_path, 0) as (address, _, add_worker):
        add_worker(**other_code)
        run = ("run", "--scheduler", address, "--source", synthetic, "--store", tmp_path / "store")
        process = run_toytip(*run)
        assert process.returncode == 1
        version = rf"{toytip.__version__} \(code [0-9a-f]{{8}}\)"
        message = rf"worker tcp://127.0.0.1:\d+ has toytip {version}, and this client has {version}"
        assert re.search(message, process.stderr)
