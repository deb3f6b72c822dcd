"""One rule decides the server, the region and the certificate authority of both S3 clients."""

from pathlib import Path

import pytest

from toytip.core.access import StorageOptions
from toytip.errors import ConfigError
from toytip.io import endpoint
from toytip.io.endpoint import find_ca_file, normalize_endpoint, resolve_server, server_url

HERE, THERE = "http://127.0.0.1:8333", "https://there.example"
PROFILE = {"endpoint_url": HERE, "region": "eu-west-1", "services": {"s3": {"endpoint_url": THERE}}}


@pytest.mark.parametrize(
    ("argument", "environment", "profile", "expected"),
    [
        (None, {}, {}, StorageOptions(None)),
        (HERE, {"AWS_ENDPOINT_URL": THERE}, PROFILE, StorageOptions(HERE, region="eu-west-1")),
        (None, {"AWS_ENDPOINT_URL": HERE, "AWS_ENDPOINT_URL_S3": THERE}, {}, StorageOptions(THERE)),
        (None, {"AWS_ENDPOINT_URL": " "}, {"endpoint_url": HERE}, StorageOptions(HERE)),
        (None, {}, PROFILE, StorageOptions(THERE, region="eu-west-1")),
        (
            None,
            {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true", "AWS_ENDPOINT_URL": HERE},
            {},
            StorageOptions(None),
        ),
        (None, {}, {"ignore_configured_endpoint_urls": "true", "endpoint_url": HERE}, StorageOptions(None)),
        (None, {"AWS_REGION": "a", "AWS_DEFAULT_REGION": "b"}, PROFILE, StorageOptions(THERE, region="a")),
        (None, {"AWS_DEFAULT_REGION": "b"}, {"region": "c"}, StorageOptions(None, region="b")),
    ],
)
def test_the_first_value_that_is_set_selects_the_server(argument, environment, profile, expected):
    assert resolve_server(argument, environment, profile) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8333/", HERE),
        ("HTTP://LOCALHOST:8333", "http://localhost:8333"),
        (" https://there.example// ", THERE),
        ("http://[::1]:8333", "http://[::1]:8333"),
    ],
)
def test_the_spelling_of_an_endpoint_does_not_matter(url, expected):
    assert normalize_endpoint(url, "AWS_ENDPOINT_URL") == expected


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("127.0.0.1:8333", "the URL has no scheme"),
        ("ftp://there.example", "the URL has the scheme ftp://"),
        ("http://127.0.0.1:8333/s3", "the URL has the path /s3"),
        ("http://127.0.0.1:8333?x=1", r"the URL has the path \?x=1"),
        ("http://127.0.0.1:port", "it is not the URL of a server"),
        ("http://", "it is not the URL of a server"),
        ("http://user:secret@there.example", "URLs must not contain credentials"),
    ],
)
def test_an_endpoint_that_no_client_accepts_is_refused_at_once(url, cause):
    with pytest.raises(ConfigError, match=f"cannot use AWS_ENDPOINT_URL .*: {cause}") as caught:
        resolve_server(None, {"AWS_ENDPOINT_URL": url}, {})
    assert "secret" not in str(caught.value)


def test_amazon_has_a_server_per_region():
    assert server_url(StorageOptions(region="cn-north-1")) == "https://s3.cn-north-1.amazonaws.com.cn"
    assert server_url(StorageOptions(HERE)) == HERE


@pytest.mark.parametrize(
    ("names", "selected"),
    [
        (["AWS_CA_BUNDLE", "SSL_CERT_FILE"], "AWS_CA_BUNDLE"),
        (["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"], "SSL_CERT_FILE"),
        (["SSL_CERT_FILE", "ca_bundle"], "ca_bundle"),
    ],
)
def test_one_variable_with_an_authority_is_enough(names, selected, tmp_path):
    files = {name: str(tmp_path / name) for name in names}
    for file in files.values():
        Path(file).touch()
    assert find_ca_file(files, files) == files[selected]


def test_without_a_variable_the_authorities_of_the_system_are_trusted(monkeypatch, tmp_path):
    (tmp_path / "system.pem").touch()
    monkeypatch.setattr(endpoint, "SYSTEM_CA_FILES", (str(tmp_path / "none"), str(tmp_path / "system.pem")))
    assert find_ca_file({}, {}) == str(tmp_path / "system.pem")
    monkeypatch.setattr(endpoint, "SYSTEM_CA_FILES", ())
    assert Path(find_ca_file({}, {})).is_file()


def test_a_missing_file_with_an_authority_is_named():
    with pytest.raises(ConfigError, match=r"cannot use SSL_CERT_FILE=/none.pem: the file does not exist"):
        find_ca_file({}, {"SSL_CERT_FILE": "/none.pem"})
