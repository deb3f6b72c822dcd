"""Tests of the certificates of a cluster."""

import datetime as dt
import stat

import pytest

from tests.support.runs import require_error, run_toytip
from toytip.cluster import certificates
from toytip.errors import ConfigError

NODE_AND_CLIENT = ["node.pem", "node.key", "client.pem", "client.key"]


def test_certificates(tmp_path):
    from cryptography import x509

    paths = certificates.create_certificates(tmp_path / "tls", ["10.0.0.1", "node.example"])
    assert [path.name for path in paths] == ["ca.pem", "ca.key", *NODE_AND_CLIENT]
    for path in paths:
        assert stat.S_IMODE(path.stat().st_mode) == (0o600 if path.suffix == ".key" else 0o644)
    authority, node = (x509.load_pem_x509_certificate(path.read_bytes()) for path in (paths[0], paths[2]))
    node.verify_directly_issued_by(authority)
    days = [(one.not_valid_after_utc - one.not_valid_before_utc).days for one in (authority, node)]
    assert days == [3650, 397]
    assert node.not_valid_before_utc < dt.datetime.now(dt.UTC)
    names = node.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["node.example"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.1"]


@pytest.mark.parametrize("hosts", ["", " , ", "10.0.0.1:8786", "a,http://x", "ü", "10.0.0.256", "a b", "-a"])
def test_invalid_hosts_are_rejected_before_any_file_is_written(hosts, tmp_path):
    process = run_toytip("cluster", "create-certs", "--output-dir", tmp_path / "tls", f"--hosts={hosts}")
    require_error(process, "--hosts ", code=2)
    assert not (tmp_path / "tls").exists()


@pytest.mark.parametrize(
    "host",
    [
        "::1",
        "localhost",
        "Node-1.example",
        "*.lab.example",
        "toytip-scheduler.toytip.svc",
        "xn--tda",
        "1node",
    ],
)
def test_valid_hosts(host, tmp_path):
    assert certificates.create_certificates(tmp_path, [host])


def remove_node_and_client(folder):
    for name in NODE_AND_CLIENT:
        (folder / name).unlink()


def test_an_authority_renews_certificates_and_nothing_is_overwritten(tmp_path):
    first = {path.name: path.read_bytes() for path in certificates.create_certificates(tmp_path, ["a"])}
    with pytest.raises(ConfigError, match=r"node\.pem already exists"):
        certificates.create_certificates(tmp_path, ["a"])
    remove_node_and_client(tmp_path)
    renewed = certificates.create_certificates(tmp_path, ["b"])
    assert [path.name for path in renewed] == NODE_AND_CLIENT
    assert (tmp_path / "ca.pem").read_bytes() == first["ca.pem"]
    (tmp_path / "ca.key").unlink()
    remove_node_and_client(tmp_path)
    with pytest.raises(ConfigError, match=r"ca\.pem already exists"):
        certificates.create_certificates(tmp_path, ["c"])
