"""Sources on Google Cloud Storage and Azure Blob Storage, with emulators on this machine.

`make test-store` installs the Python packages. Azurite, the emulator of Azure, comes from npm:
`npm install --global azurite`. Without an emulator, its tests are skipped.
"""

import os
import shutil
import subprocess

import fsspec
import pandas as pd
import pytest

from tests.sources.test_layouts import MONTHS, read_trips, write, write_each
from tests.support.clusters import free_port
from tests.support.runs import parse_summary, run_toytip
from tests.support.trips import raw_table
from toytip.core.months import Month
from toytip.errors import SourceError
from toytip.sources.discovery import open_source

pytestmark = pytest.mark.object_store

AZURITE_ACCOUNT = "devstoreaccount1"
# The published key of all emulators.
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@pytest.fixture
def google(monkeypatch):
    """An emulator of Google Cloud Storage. Returns the URI of a bucket."""
    # Otherwise, gcsfs asks for the type of the bucket over gRPC, which the emulator lacks.
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    pytest.importorskip("gcsfs", reason="needs `pip install gcsfs`")
    emulator = pytest.importorskip(
        "gcp_storage_emulator.server", reason="needs `pip install gcp-storage-emulator`"
    )
    port = free_port()
    server = emulator.create_server("127.0.0.1", port, in_memory=True, default_bucket="lake")
    server.start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("FSSPEC_GS_TOKEN", "anon")  # for other processes
    monkeypatch.setitem(fsspec.config.conf, "gs", {"token": "anon"})
    fsspec.get_filesystem_class("gs").clear_instance_cache()
    yield "gs://lake"
    server.stop()


@pytest.fixture
def azure(tmp_path, monkeypatch):
    """An emulator of Azure Blob Storage. Returns the URI of a container."""
    pytest.importorskip("adlfs", reason="needs `pip install adlfs`")
    if not (binary := shutil.which("azurite-blob")):
        pytest.skip("needs `npm install --global azurite`")
    port = free_port()
    options = ("--location", tmp_path / "azurite", "--skipApiVersionCheck", "--disableTelemetry", "--silent")
    endpoint = f"http://127.0.0.1:{port}/{AZURITE_ACCOUNT}"
    monkeypatch.setenv(
        "AZURE_STORAGE_CONNECTION_STRING",
        f"DefaultEndpointsProtocol=http;AccountName={AZURITE_ACCOUNT};AccountKey={AZURITE_KEY};"
        f"BlobEndpoint={endpoint};",
    )
    with subprocess.Popen(
        [binary, "--blobPort", str(port), *options], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert any("successfully listens" in line for line in process.stdout)
            fsspec.get_filesystem_class("az").clear_instance_cache()
            fsspec.filesystem("az").mkdir("lake")
            yield "az://lake"
        finally:
            process.kill()


@pytest.fixture(params=["google", "azure"])
def root(request):
    return request.getfixturevalue(request.param)


def upload(folder, uri):
    """Write the files of a folder to a URI."""
    fs, path = fsspec.core.url_to_fs(uri)
    for file in folder.rglob("*.parquet"):
        fs.pipe_file(f"{path}/{file.relative_to(folder)}", file.read_bytes())


def test_a_source_in_a_cloud_has_the_same_trips_as_on_a_disk(root, tmp_path):
    folder, uri = tmp_path / "in", f"{root}/green trips"
    write_each(folder, "year={m.year}/month={m.month}/part {p}+ü.parquet", 3)
    upload(folder, uri)
    local = read_trips(open_source(str(folder)))
    for end in ("", "/", "/*", "/year=2023/month=*/*.parquet"):
        source = open_source(uri + end)
        assert source.months == tuple(MONTHS)
        pd.testing.assert_frame_equal(read_trips(source), local)
    write(folder, "year=2023/month=4/part 0+ü.parquet", raw_table(90, Month(2023, 4), "lpep", seed=4))
    upload(folder, uri)
    assert len(open_source(uri).months) == 4, "listings are not remembered"


def test_a_changed_file_of_the_same_size_is_noticed(root, tmp_path):
    folder, uri = tmp_path / "in", f"{root}/months"
    write_each(folder, "year={m.year}/month={m.month}/part {p}+ü.parquet", 1)
    upload(folder, uri)
    before = {file.uri: file for file in open_source(uri).files}
    assert all(file.modified for file in before.values())
    path = next(folder.glob("year=2023/month=2/*"))
    content = path.read_bytes()
    path.write_bytes(content.replace(b"parquet-cpp-arrow", b"parquet-cpp-ARROW", 1))
    assert path.read_bytes() != content
    upload(folder, uri)
    after = {file.uri: file for file in open_source(uri).files}
    assert [file.bytes for file in after.values()] == [file.bytes for file in before.values()]
    changed = [name for name, file in after.items() if file.modified != before[name].modified]
    assert any("month=2/" in name for name in changed)


def test_the_workers_of_a_run_read_a_cloud(root, tmp_path):
    folder, uri = tmp_path / "in", f"{root}/months"
    write_each(folder, "year={m.year}/month={m.month}/part-{p}.parquet", 1)
    upload(folder, uri)
    clean = ("stage", "clean", "--workers", 1, "--json", "--source")
    cloud = run_toytip(*clean, uri, "--store", tmp_path / "cloud")
    disk = run_toytip(*clean, folder, "--store", tmp_path / "disk")
    rows = [
        {name: table["rows"] for name, table in parse_summary(run)["tables"].items()} for run in (cloud, disk)
    ]
    assert rows[0] == rows[1]
    assert sum(rows[0].values()) > 0


def test_a_missing_bucket_in_a_cloud_is_an_error(root):
    with pytest.raises(SourceError, match=r"cannot (list|use) source \w+://nosuch/x: ") as caught:
        open_source(f"{root.partition('://')[0]}://nosuch/x")
    assert "\n" not in str(caught.value)


def test_denied_access_is_an_error(azure, monkeypatch):
    text = os.environ["AZURE_STORAGE_CONNECTION_STRING"]
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text.replace("Eby8", "AAAA"))
    fsspec.get_filesystem_class("az").clear_instance_cache()
    with pytest.raises(SourceError, match=r"cannot list source az://lake/x: ") as caught:
        open_source(f"{azure}/x")
    assert "\n" not in str(caught.value)
    assert "credentials" in caught.value.hint
