"""Sources on file systems that fsspec knows, and a clear error if their package is missing."""

import sys

import fsspec
import pytest

from toytip.core.access import StorageOptions
from toytip.core.months import Month
from toytip.errors import SourceError
from toytip.io.access import as_source_error, open_file, resolve_storage_options
from toytip.sources.discovery import check_file
from toytip.sources.listing import list_source_files
from toytip.sources.path_months import month_of_path
from toytip.sources.reader import file_version


@pytest.mark.parametrize(
    ("uri", "package"),
    [("gs://bucket/months", "gcsfs"), ("az://container/months", "adlfs"), ("abfs://c/months", "adlfs")],
)
def test_a_missing_package_is_named(uri, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        SourceError, match=f"{uri.partition(':')[0]}:// needs the package {package}"
    ) as caught:
        list_source_files(uri)
    assert f"pip install {package}" in caught.value.hint


def test_a_package_with_another_name_than_its_scheme_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(SourceError, match=r"hf:// needs another package \(Install huggingface_hub") as caught:
        list_source_files("hf://datasets/a/b")
    assert "pip install hf" not in caught.value.hint


def test_a_source_is_read_through_fsspec(synthetic):
    """The file system is in memory. It stands for those that need a server."""
    memory = fsspec.filesystem("memory")
    for path in synthetic.glob("*.parquet"):
        memory.pipe_file(f"/bucket/months/{path.name}", path.read_bytes())
    memory.pipe_file("/bucket/months/yellow_tripdata_2031-01.csv", b"not read next to Parquet files")
    files, unread = list_source_files("memory://bucket/months")
    assert unread == {Month(2031, 1): "memory:///bucket/months/yellow_tripdata_2031-01.csv"}
    assert [uri.rpartition("/")[2] for uri in files] == sorted(
        path.name for path in synthetic.glob("*.parquet")
    )
    uri = next(iter(files))
    assert files[uri] == resolve_storage_options(uri) == StorageOptions()
    assert check_file(uri, month_of_path(uri)).file.rows > 1_000
    with open_file(uri, StorageOptions()) as stream:
        assert stream.read(4) == b"PAR1"


@pytest.mark.parametrize(
    ("info", "modified"),
    [
        ({"ETag": '"a1"', "LastModified": "2023"}, "a1"),
        ({"etag": "CAE=", "mtime": "2023", "generation": "1"}, "CAE="),
        ({"etag": '"0x8D"', "last_modified": "2023"}, "0x8D"),
        ({"mtime": 1.5, "ino": 7}, "1.5"),
        ({"last_modified": "2023"}, "2023"),
        ({"size": 9}, ""),
    ],
)
def test_a_changed_file_is_recognized_on_every_file_system(info, modified):
    assert file_version(info) == modified


@pytest.mark.parametrize("package", ["azure.core.exceptions", "gcsfs.retry", "google.auth.exceptions"])
def test_an_error_of_a_cloud_client_has_one_line_and_a_hint(package):
    denied = type("Denied", (Exception,), {"__module__": package})("access denied\nRequestId: 1")
    with pytest.raises(SourceError) as caught, as_source_error("cannot read x"):
        raise denied
    assert str(caught.value) == "cannot read x: access denied"
    assert "credentials" in caught.value.hint
