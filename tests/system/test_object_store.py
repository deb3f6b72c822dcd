"""Tests of the store's guarantees on a real S3 server.

`make test-store` installs the server and runs these tests.
"""

import contextlib
import json
import multiprocessing
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from tests.sources.test_layouts import LAYOUTS, read_trips, write_each
from tests.store import test_publication as publication
from tests.support import s3_server
from tests.support.runs import parse_summary, require_error, run_toytip, start_toytip, wait_for_message
from tests.support.trips import make_part_record, make_run, make_trips, publish_trips, read_files
from toytip.core.access import StorageOptions
from toytip.core.tables import TRIPS
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.errors import SourceError, StoreError
from toytip.io.access import open_file, open_file_io
from toytip.io.local import LocalFileIO
from toytip.io.s3 import PIECE_BYTES, S3FileIO
from toytip.io.s3_clients import s3_filesystem
from toytip.sources.discovery import open_source
from toytip.store import maintenance
from toytip.store.refs import resolve_version
from toytip.store.release import release_version
from toytip.store.store import Store

pytestmark = pytest.mark.object_store
FAST = ("--rounds", 8, "--max-depth", 3, "--workers", 2, "--version-id", "vtest", "--json")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with s3_server.run_s3_server(tmp_path_factory.mktemp("weed")) as running:
        yield running


@pytest.fixture
def admin(server, monkeypatch):
    """The server. This process has the credentials of the admin."""
    for name, value in server.env().items():
        monkeypatch.setenv(name, value)
    return server


@pytest.fixture
def bucket(admin, request):
    return S3FileIO(
        f"s3://{s3_server.PRIVATE_BUCKET}/{request.node.name.partition('[')[0]}",
        StorageOptions(admin.endpoint),
    )


@pytest.fixture
def store(bucket):
    return Store(bucket.root, "dev", bucket.storage_options)


def test_a_bucket_that_does_not_exist_is_an_error(admin):
    """A server may create a bucket with its first file, so toytip reads before it writes."""
    missing = S3FileIO("s3://missing-bucket/store", StorageOptions(admin.endpoint))
    for call in (lambda: missing.list_files("dev/_versions"), lambda: missing.require_guarantees("dev")):
        with pytest.raises(FileNotFoundError, match="bucket does not exist"):
            call()


@pytest.mark.parametrize(
    "check",
    [
        publication.test_a_table_is_invisible_until_its_run_is_published,
        publication.test_a_refused_run_is_released_with_a_reason,
        publication.test_a_published_version_cannot_be_published_or_extended_again,
        publication.test_a_run_that_names_a_deleted_table_is_not_published,
        publication.test_garbage_collection_keeps_the_current_run_and_deletes_empty_run_manifests,
    ],
    ids=lambda check: check.__name__.removeprefix("test_"),
)
def test_a_run_is_one_commit(check, store):
    check(replace(store, root=f"{store.root}/{check.__name__}"))


def publish_at_once(root, endpoint, status):
    store = Store(root, "dev", StorageOptions(endpoint))
    try:
        manifests = store.list_tables("trips")
        store.publish(make_run(manifests, status=status))
    except StoreError:
        os._exit(1)
    os._exit(0)


def test_one_of_two_runs_publishes_a_version(store, admin):
    """The server creates the run manifest only if it does not exist."""
    with store.write_version("v1"):
        publication.add_table(store, "v1")
        processes = [
            multiprocessing.get_context("spawn").Process(
                target=publish_at_once, args=(store.root, admin.endpoint, status)
            )
            for status in ("passed", "refused")
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
    assert sorted(process.exitcode for process in processes) == [0, 1]
    assert len(store.list_runs()) == 1


def write_runs(root, endpoint):
    """Publish runs. Every third one is refused, and every fourth one has no run manifest."""
    store = Store(root, "dev", StorageOptions(endpoint))
    for number in range(1, 13):
        version = f"v{number}"
        with store.write_version(version):
            tables = [
                publication.add_table(store, version, table, rows=number) for table in ("trips", "scores")
            ]
            if number % 4:
                status = "passed" if number % 3 else "refused"
                store.publish(make_run(tables, status=status))


def test_a_reader_never_sees_a_mixed_or_refused_run(store, admin):
    publication.publish(store, "v0", publication.PASSED)
    writer = multiprocessing.get_context("spawn").Process(
        target=write_runs, args=(store.root, admin.endpoint)
    )
    writer.start()
    seen = []
    while writer.is_alive():
        version = resolve_version(store, "scores").version
        number = int(version[1:])
        assert number == 0 or (number % 3 and number % 4), f"{version} was not passed"
        assert {resolve_version(store, table, version).rows for table in ("trips", "scores")} == {number or 3}
        seen.append(number)
    writer.join()
    assert writer.exitcode == 0
    assert seen == sorted(seen)
    assert resolve_version(store, "trips").version == "v11"


def test_a_release_to_prod_is_copied_by_the_server(store):
    publication.publish(store, "v1", publication.PASSED)
    prod = replace(store, env="prod")
    assert release_version(prod, "v1", "approved").copied_tables == 2
    manifest = resolve_version(prod, "trips")
    assert prod.read_file("trips", "v1", manifest.files[0])
    assert maintenance.verify_version(prod, "v1", lambda _: None) == []


def upload(bucket, folder):
    for path in sorted(Path(folder).glob("*.parquet")):
        bucket.write(path.name, path.read_bytes())


def download(place, folder):
    return {name.removeprefix(f"{folder}/"): place.read(name) for name in place.list_files(folder)}


@pytest.fixture(scope="module")
def months(server, synthetic):
    """The synthetic months in the public bucket."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.env().items():
            patch.setenv(name, value)
        upload(S3FileIO(f"s3://{s3_server.PUBLIC_BUCKET}/months", StorageOptions(server.endpoint)), synthetic)
    return f"s3://{s3_server.PUBLIC_BUCKET}/months"


@pytest.fixture(scope="module")
def done(server, months, tmp_path_factory):
    """A run that reads a public bucket without credentials and writes to a private bucket."""
    root = f"s3://{s3_server.PRIVATE_BUCKET}/done"
    run = run_toytip("run", "--source", months, "--store", root, *FAST, **server.env())
    return parse_summary(run), root


def test_a_run_gives_the_same_tables_as_on_a_disk(done, synthetic, tmp_path, admin):
    summary, root = done
    local = parse_summary(run_toytip("run", "--source", synthetic, "--store", tmp_path, *FAST))
    for key in ("rows", "rejects", "metrics", "months"):
        assert summary[key] == local[key]
    place = open_file_io(root, StorageOptions(admin.endpoint))
    for table in ("features", "rejects", "predictions"):
        assert download(place, f"dev/{table}") == read_files(tmp_path / "dev" / table)
    assert (
        place.read("dev/models/version=vtest/model.ubj")
        == Path(tmp_path, "dev/models/version=vtest/model.ubj").read_bytes()
    )
    assert not place.list_files("dev/_staging"), "nothing is left of the making"
    assert summary["report_path"] == f"{root}/dev/_reports/vtest.html"
    page = place.read("dev/_reports/vtest.html").decode()
    assert "vtest" in page
    assert "This part failed" not in page


# --- sources with other layouts, and addresses with special characters


@pytest.fixture
def put(admin):
    """Upload the files below a folder, with keys that start with a prefix."""
    fs = s3_filesystem(StorageOptions(admin.endpoint))

    def upload_below(folder, prefix):
        files = [path for path in folder.rglob("*") if path.is_file()]
        fs.pipe({f"{prefix}/{path.relative_to(folder)}": path.read_bytes() for path in files})
        return fs

    return upload_below


@pytest.fixture(scope="module")
def hive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hive")
    write_each(folder, "year={m.year}/month={m.month}/part-{p}.parquet", 3)
    return folder


def require_same_trips(spec, local):
    remote, disk = open_source(spec), open_source(str(local))
    assert remote.months == disk.months
    assert [file.uri.rpartition("/")[2] for file in remote.files] == [
        file.uri.rpartition("/")[2] for file in disk.files
    ]
    pd.testing.assert_frame_equal(read_trips(remote), read_trips(disk))


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "links"])
def test_a_layout_has_the_same_trips_as_on_a_disk(layout, put, tmp_path):
    LAYOUTS[layout](tmp_path / "in")
    prefix = f"{s3_server.PRIVATE_BUCKET}/layouts/{layout}"
    put(tmp_path / "in", prefix)
    require_same_trips(f"s3://{prefix}", tmp_path / "in")


@pytest.mark.parametrize(
    "prefix",
    ["a b", "tri  ps", "a+b", "zażółć ü", "50%25", "50%", "x=y&z", "q?", "st*r", "[ab]", "it's", "#h"],
)
def test_the_prefix_of_a_source_can_have_any_characters(prefix, put, hive):
    put(hive, f"{s3_server.PRIVATE_BUCKET}/any/{prefix}")
    for end in ("", "/"):
        require_same_trips(f"s3://{s3_server.PRIVATE_BUCKET}/any/{prefix}{end}", hive)


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "/",
        "/*",
        "/*/*/*.parquet",
        "/**/*.parquet",
        "/year=2023",
        "/year=2023/month=*",
        "/year=2023/month=[123]/",
    ],
)
def test_folder_objects_do_not_count_and_globs_match_folders(pattern, put, hive):
    root = f"{s3_server.PRIVATE_BUCKET}/markers"
    fs = put(hive, root)
    for name in ("/", "/year=2023/", "/year=2023/month=1/", "/year=2023_$folder$"):
        bucket, _, key = f"{root}{name}".partition("/")
        fs.call_s3("put_object", Bucket=bucket, Key=key, Body=b"")
    require_same_trips(f"s3://{root}{pattern}", f"{hive}{pattern}")


def test_a_delta_table_has_the_same_trips_as_on_a_disk(put, tmp_path):
    from tests.sources.test_delta import write_delta

    table = write_delta(tmp_path / "table")
    put(table, f"{s3_server.PRIVATE_BUCKET}/lake/green")
    for spec in ("", "/green", "/green/year=2023/*/*.parquet"):
        require_same_trips(f"s3://{s3_server.PRIVATE_BUCKET}/lake{spec}", table)


def test_an_object_can_be_named_with_a_slash_at_its_end(put, hive):
    put(hive, f"{s3_server.PRIVATE_BUCKET}/one")
    name = "year=2023/month=1/part-0.parquet"
    require_same_trips(f"s3://{s3_server.PRIVATE_BUCKET}/one/{name}/", hive / name)


def test_a_key_with_an_empty_segment_can_be_read(put, hive, admin):
    """The server of this test stores `a//b` as `a/b`. Others list the key with its two slashes."""
    put(hive, f"{s3_server.PRIVATE_BUCKET}/double")
    name = "year=2023/month=1/part-0.parquet"
    uri = f"s3://{s3_server.PRIVATE_BUCKET}/double//{name}"
    with open_file(uri, StorageOptions(admin.endpoint)) as stream:
        assert stream.read() == (hive / name).read_bytes()
    with pytest.raises(SourceError, match="it has two slashes in a row"):
        open_source(f"s3://{s3_server.PRIVATE_BUCKET}/double//year=2023")


def test_a_source_and_a_store_can_be_whole_buckets(put, hive, server, tmp_path):
    """The store gets the tables that a disk gets, whether or not the addresses end with a slash."""
    fs = put(hive, "trips-only")
    fs.mkdir("store-only")
    small = ("--rounds", 2, "--workers", 1, "--version-id", "vtest", "--json")
    checked = parse_summary(run_toytip("source", "check", "s3://trips-only/", "--json", **server.env()))
    run = run_toytip(
        "run", "--source", "s3://trips-only", "--store", "s3://store-only/", *small, **server.env()
    )
    local = parse_summary(run_toytip("run", "--source", hive, "--store", tmp_path, *small))
    assert sum(month["rows"] for month in checked["months"]) == local["rows"]["read"]
    assert parse_summary(run)["rows"] == local["rows"]
    place = open_file_io("s3://store-only", StorageOptions(server.endpoint))
    for table in ("features", "rejects", "predictions"):
        assert download(place, f"dev/{table}") == read_files(tmp_path / "dev" / table)
    for store in ("s3://store-only", "s3://store-only/"):
        listed = parse_summary(run_toytip("version", "list", "--store", store, "--json", **server.env()))
        assert {row["table"] for row in listed["versions"]} >= {"features", "rejects", "predictions"}


def test_another_engine_reads_the_files_of_a_manifest(done, admin):
    import pyarrow.dataset as ds

    from toytip.io.s3_clients import arrow_s3_filesystem

    _, root = done
    manifest = resolve_version(Store(root, "dev", StorageOptions(admin.endpoint)), "predictions")
    base = f"{root.removeprefix('s3://')}/dev/predictions/version=vtest"
    table = ds.dataset(
        [f"{base}/{part.path}" for part in manifest.files],
        filesystem=arrow_s3_filesystem(StorageOptions(admin.endpoint)),
        format="parquet",
        partitioning=ds.partitioning(flavor="hive"),
        partition_base_dir=base.rpartition("/")[0],
    ).to_table()
    assert len(table) == manifest.rows
    assert set(table.column("version").to_pylist()) == {"vtest"}
    assert set(table.column("month").to_pylist()) == {1, 2, 3, 4}


def test_the_version_commands_work_on_s3(done, server):
    _, root = done
    env = server.env()
    where = ("--store", root, "--json")
    assert parse_summary(run_toytip("version", "verify", "vtest", *where, **env))["faults"] == []
    listed = parse_summary(run_toytip("version", "list", *where, **env))["versions"]
    assert {row["table"] for row in listed} >= {"features", "rejects", "predictions", "models"}
    traced = parse_summary(run_toytip("version", "lineage", "vtest/2020-02", *where, **env))
    assert json.dumps(traced).count('"uri": "s3://') == 9, "one for the features, four twice for the model"
    assert parse_summary(run_toytip("version", "tag", "good", "vtest", *where, **env))["tags"] == {
        "good": "vtest"
    }
    # Other rounds, because an unchanged run would do nothing.
    options = ("--rounds", 9, *FAST[2:-3], "--json")
    again = run_toytip("run", "--source", traced_source(traced), "--store", root, *options, **env)
    assert parse_summary(again)["source_bytes_read"] < 200_000, "nothing but footers is read again"
    assert "4 of 4 files reused" in again.stderr
    gone = parse_summary(run_toytip("version", "gc", "--keep", 1, *where, **env))
    assert gone["versions"] == [], "a tag keeps the one, being the newest the other"


def traced_source(traced):
    return next(p["uri"] for p in traced["parents"][0]["parents"]).rpartition("/")[0]


@pytest.mark.parametrize(
    ("identity", "said"),
    [(None, "it needs credentials"), (s3_server.READER_KEYS, "access denied")],
    ids=["anonymous", "read-only"],
)
def test_a_user_without_write_permission_is_rejected_before_any_work(
    identity, said, server, months, tmp_path
):
    env = {**server.env(identity), "AWS_CONFIG_FILE": "/nowhere", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere"}
    refused = run_toytip(
        "run", "--source", months, "--store", f"s3://{s3_server.PRIVATE_BUCKET}/no", cwd=tmp_path, **env
    )
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-2].startswith("error: ")
    assert refused.stderr.splitlines()[-1].startswith("hint: ")
    assert said in refused.stderr
    assert "dashboard" not in refused.stderr


def test_a_public_store_can_be_read_without_credentials(server, months):
    root = f"s3://{s3_server.PUBLIC_BUCKET}/store"
    parse_summary(run_toytip("run", "--source", months, "--store", root, *FAST, **server.env()))
    nobody = server.env(None)
    listed = parse_summary(run_toytip("version", "list", "--store", root, "--json", **nobody))["versions"]
    assert {"features", "rejects", "predictions", "models", "encodings"} <= {row["table"] for row in listed}
    assert (
        parse_summary(run_toytip("version", "verify", "vtest", "--store", root, "--json", **nobody))["faults"]
        == []
    )
    measured = run_toytip("stage", "evaluate", "--store", root, "--workers", 1, "--json", **nobody)
    assert parse_summary(measured)["metrics"]


def test_credentials_can_come_from_a_file_or_a_profile(server, tmp_path):
    where = ("--store", f"s3://{s3_server.PRIVATE_BUCKET}/done", "--json")
    nobody = {**server.env(None), "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    key, secret = s3_server.ADMIN_KEYS
    (tmp_path / ".env").write_text(f"AWS_ACCESS_KEY_ID={key}\nAWS_SECRET_ACCESS_KEY={secret}\n")
    assert run_toytip("version", "list", *where, cwd=tmp_path, **nobody).returncode == 0
    (tmp_path / ".env").unlink()
    profile = tmp_path / "credentials"
    profile.write_text(f"[toy]\naws_access_key_id={key}\naws_secret_access_key={secret}\n")
    named = {**nobody, "AWS_SHARED_CREDENTIALS_FILE": str(profile), "AWS_PROFILE": "toy"}
    assert run_toytip("version", "list", *where, cwd=tmp_path, **named).returncode == 0
    refused = run_toytip("version", "list", *where, cwd=tmp_path, **nobody)
    require_error(refused, "access denied", "credentials")


def test_a_run_stores_and_prints_no_secret(server, done, admin, months, tmp_path):
    """The test also searches for the access key, because it identifies the account to attackers."""
    _, root = done
    place = open_file_io(root, StorageOptions(admin.endpoint))
    left = b"".join(place.read(name) for name in place.list_files("dev"))
    assert b"vtest" in left
    scratch = {"DASK_TEMPORARY_DIRECTORY": str(tmp_path), "TMPDIR": str(tmp_path)}
    run = run_toytip(
        "run",
        "--source",
        months,
        "--store",
        root,
        "--full-refresh",
        "--workers",
        2,
        "--rounds",
        4,
        cwd=tmp_path,
        **server.env(),
        **scratch,
    )
    broken = run_toytip("run", "--source", f"{months}/none", "--store", root, "--debug", **server.env())
    wrong = run_toytip("version", "list", "--store", "s3://nobucket/x", "--debug", **server.env())
    shown = run_toytip("config", **server.env())
    said = "".join(done.stdout + done.stderr for done in (run, broken, wrong, shown)).encode()
    assert run.returncode == 0
    assert broken.returncode == 1
    scraps = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    after = b"".join(place.read(name) for name in place.list_files("dev"))
    assert len(after) > len(left)
    for secret in s3_server.ADMIN_KEYS:
        assert secret.encode() not in left + said + scraps + after


def test_the_task_graph_contains_no_secret(admin, store):
    import cloudpickle

    assert s3_server.ADMIN_KEYS[1].encode() not in cloudpickle.dumps(store)


def test_credentials_in_a_url_are_rejected(tmp_path):
    refused = run_toytip("version", "list", "--store", "s3://KEY:SECRETSECRET@bucket/x", cwd=tmp_path)
    assert refused.returncode == 2
    assert "URLs must not contain credentials" in refused.stderr
    assert "SECRETSECRET" not in refused.stderr


def test_an_unreachable_server_is_reported(tmp_path):
    env = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    refused = run_toytip("version", "list", "--store", "s3://bucket/x", cwd=tmp_path, **env)
    assert refused.returncode == 1
    assert "cannot connect to the S3 server" in refused.stderr


def test_one_of_sixteen_concurrent_writers_succeeds(store, bucket):
    """All threads write one version at the same time: with a lease, and then only its manifest."""

    def write(number):
        with contextlib.suppress(StoreError), store.write_version("v1"):
            return publish_trips(store, "v1", rows=number + 1)
        return None

    with ThreadPoolExecutor(16) as pool:
        won = [manifest for manifest in pool.map(write, range(16)) if manifest]
    assert len(won) == 1
    assert store.list_manifests() == won
    assert len(store.read_data_file(TLC.table(TRIPS), "v1", won[0].files[0])) == won[0].rows

    def create(number):
        with contextlib.suppress(FileExistsError):
            bucket.create("dev/_versions/trips/v2.json", b"%d" % number)
            return number
        return None

    with ThreadPoolExecutor(16) as pool:
        winners = [number for number in pool.map(create, range(16)) if number is not None]
    assert len(winners) == 1
    assert bucket.read("dev/_versions/trips/v2.json") == b"%d" % winners[0]


def test_a_repeated_write_of_equal_content_succeeds(bucket):
    bucket.create("one", b"mine")
    bucket.create("one", b"mine")
    with pytest.raises(FileExistsError):
        bucket.create("one", b"another's")


def test_conflicting_writes_are_retried(bucket, monkeypatch):
    """The server answers 409 if another request is in progress, and this request can still fail."""
    import botocore.exceptions

    fs, calls = bucket.fs, []
    real = type(fs).call_s3

    def answer(self, name, **options):
        calls.append(name)
        if len(calls) < 3:
            error = {"Error": {"Code": "ConditionalRequestConflict"}}
            raise OSError("conflict") from botocore.exceptions.ClientError(error, name)
        return real(self, name, **options)

    monkeypatch.setattr(type(fs), "call_s3", answer)
    bucket.create("one", b"mine")
    assert len(calls) == 3


def test_a_lease_is_held_while_its_run_is_active(store, bucket):
    with (
        store.write_version("v1"),
        pytest.raises(StoreError, match="another run holds its lock"),
        store.write_version("v1"),
    ):
        pass
    with store.write_version("v1"):
        publish_trips(store)


def test_the_lease_of_a_killed_process_can_be_acquired_immediately(store, bucket, server):
    name = "dev/_staging/v1.lease"
    with bucket.lock("dev/_staging/v1"):
        holder = json.loads(bucket.read(name))
    holder["pid"] = 2**22 - 1  # no process has this number
    bucket.write(name, json.dumps(holder).encode())
    assert store.incomplete_versions() == ["v1"]
    with store.write_version("v1"):
        assert store.incomplete_versions() == []
        publish_trips(store)
    holder["machine"] = "another machine"
    bucket.write("dev/_staging/v2.lease", json.dumps(holder).encode())
    assert store.incomplete_versions() == [], "it may live: nobody here can tell before its lease ends"
    with pytest.raises(StoreError, match=r"last renewed \d s ago"), store.write_version("v2"):
        pass


def test_a_lost_lease_is_an_error(store, bucket, monkeypatch):
    monkeypatch.setattr("toytip.io.lease.LEASE_RENEWAL_SECONDS", 0.1)

    def lose():
        with store.write_version("v1"):
            bucket.write("dev/_staging/v1.lease", b'{"machine": "another machine"}')
            time.sleep(1)

    with pytest.raises(StoreError, match="another run replaced the lock"):
        lose()


def test_multipart_uploads_of_a_killed_run_are_aborted(store, bucket):
    with store.write_version("v0"):
        publish_trips(store, "v0")
    fs, key = bucket.fs, "dev/trips/version=v1/part-00000.parquet"
    where, _, key = bucket.path(key).partition("/")
    upload = fs.call_s3("create_multipart_upload", Bucket=where, Key=key)["UploadId"]
    fs.call_s3("upload_part", Bucket=where, Key=key, UploadId=upload, PartNumber=1, Body=b"x" * 2**20)
    assert len(fs.call_s3("list_multipart_uploads", Bucket=where)["Uploads"]) == 1
    maintenance.collect_garbage(store, maintenance.find_garbage(store, 1))
    assert not fs.call_s3("list_multipart_uploads", Bucket=where).get("Uploads")


def test_large_files_are_uploaded_in_pieces(bucket):
    content = os.urandom(3 * PIECE_BYTES)
    bucket.write("large", content)
    assert bucket.read("large") == content


def test_files_of_killed_runs_are_deleted(store, bucket):
    """S3 cannot rename files, so unpublished files are already at their final paths."""
    with store.write_version("v1"):
        publish_trips(store)
    bucket.write("dev/trips/version=v0/year=2023/month=1/part-00000.parquet", b"half")
    assert maintenance.verify_version(store, "v1", lambda _: None) == []
    assert [manifest.version for manifest in store.list_manifests()] == ["v1"]
    waste = maintenance.find_garbage(store, 5)
    assert waste.orphaned_files == ("dev/trips/version=v0/year=2023/month=1/part-00000.parquet",)
    maintenance.collect_garbage(store, waste)
    assert list(bucket.list_files("dev/trips")) == [
        "dev/trips/version=v1/year=2023/month=1/part-00000.parquet"
    ]


def test_reused_files_are_copied_by_the_server(store, bucket):
    with store.write_version("v1"):
        publish_trips(store)
    found = store.find_data_files("trips")["id"]
    with store.write_version("v2"):
        assert store.reuse_data_file("trips", "v2", found)
        assert not store.reuse_data_file("trips", "v2", found._replace(file_name="dev/trips/version=v1/none"))
    with store.write_version("v3"):
        store.write_data_file(TLC.table(TRIPS), "v3", make_part_record(fingerprint="other"), make_trips({}))
    assert len(bucket.list_files("dev/trips")) == 1, "what was not published is gone"


@pytest.mark.parametrize("moment", ["dashboard", "featurize:", "train:", "infer:"])
def test_a_run_survives_a_restart_of_the_server(moment, tmp_path_factory, synthetic):
    """The server is killed and starts again after two seconds. The run continues."""
    with s3_server.run_s3_server(tmp_path_factory.mktemp("dying")) as server:
        env = server.env()
        with pytest.MonkeyPatch.context() as patch:
            for name, value in env.items():
                patch.setenv(name, value)
            upload(
                S3FileIO(f"s3://{s3_server.PRIVATE_BUCKET}/in", StorageOptions(server.endpoint)), synthetic
            )
        where = (
            "--source",
            f"s3://{s3_server.PRIVATE_BUCKET}/in",
            "--store",
            f"s3://{s3_server.PRIVATE_BUCKET}/st",
        )
        with start_toytip("run", *where, "--explain", *FAST, **env) as run:
            wait_for_message(run, moment)
            server.kill()
            time.sleep(2)
            server.start()
            out, said = run.communicate(timeout=200)
        assert run.returncode == 0, said
        summary = json.loads(out)
        assert summary["rows"]["kept"] == summary["tables"]["predictions"]["rows"]
        verified = run_toytip("version", "verify", "vtest", *where[2:], "--json", **env)
        assert parse_summary(verified)["faults"] == []


def test_the_type_of_a_store_follows_from_its_address():
    assert isinstance(open_file_io("some/where", StorageOptions()), LocalFileIO)
    assert isinstance(open_file_io("s3://b/x", StorageOptions()), S3FileIO)
