"""Certificates: an authority of the cluster's own, and what it signs for its nodes and its clients."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toytip.errors import ConfigError

AUTHORITY_DAYS = 3650
# As long as browsers take a server's certificate for good: a year, and a month to renew it.
CERTIFICATE_DAYS = 397
# Clocks of hosts differ a little; a certificate is good from a little before it was made.
CLOCK_SKEW = dt.timedelta(minutes=10)
NODE, CLIENT = "node", "client"
# What DNS takes, as ASCII; a last label of digits alone would be an address with a mistake in it.
HOST_LABEL_PATTERN = "[a-z0-9_]([a-z0-9_-]*[a-z0-9])?"
HOST_NAME_PATTERN = re.compile(
    rf"(\*\.)?({HOST_LABEL_PATTERN}\.)*(?=[0-9]*[a-z_-]){HOST_LABEL_PATTERN}", re.IGNORECASE
)


def create_certificates(folder: Path, hosts: Sequence[str]) -> list[Path]:
    """Make `ca`, `node` and `client` in a folder, each a `.pem` and a `.key`; return the files that were made.

    An authority that is there already signs the rest. The node's certificate names all hosts.
    Raises ConfigError where a host is none, and where a file that would be made is there, or cannot be written.
    """
    if not hosts:
        raise ConfigError("--hosts names no host; give names or addresses, with commas")
    for host in hosts:
        _check_host(host)
    there = [path for name in (NODE, CLIENT) for path in _file_paths(folder, name) if path.exists()]
    certificate, key = _file_paths(folder, "ca")
    if there or certificate.exists() != key.exists():
        raise ConfigError(
            f"{(there or [certificate])[0]} is there already, and nothing is overwritten; "
            "remove it to have another (ca.pem and ca.key stay, and sign it), or choose another --output-dir"
        )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = [] if certificate.exists() else _create_authority(folder)
        return [*made, *_create_certificate(folder, NODE, hosts), *_create_certificate(folder, CLIENT, ())]
    except (OSError, ValueError) as error:
        raise ConfigError(f"certificates cannot be made in {folder}: {error}") from None


def _check_host(host: str) -> None:
    """Raise ConfigError for what is neither an address nor a name."""
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host)
        return
    if not HOST_NAME_PATTERN.fullmatch(host):
        raise ConfigError(
            f"--hosts {host}: a host is a name or an address, as node1.example or 10.0.0.1: no scheme, no port, "
            "no letters but those of ASCII"
        )


def _file_paths(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / f"{name}.pem", folder / f"{name}.key"


def _create_authority(folder: Path) -> list[Path]:
    from cryptography import x509

    key = _new_key()
    name = _subject_name("toytip cluster authority")
    builder = _builder(name, name, key.public_key(), AUTHORITY_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_key_usage(signs=True), critical=True)
    return _write(folder, "ca", _sign(builder, key, key.public_key()), key)


def _create_certificate(folder: Path, name: str, hosts: Sequence[str]) -> list[Path]:
    """Make a certificate for both ends of a connection: a node is the server of some and the client of others."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose

    certificate, path = _file_paths(folder, "ca")
    authority = x509.load_pem_x509_certificate(certificate.read_bytes())
    signer = load_pem_private_key(path.read_bytes(), password=None)
    key = _new_key()
    purposes = [Purpose.CLIENT_AUTH] if name == CLIENT else [Purpose.SERVER_AUTH, Purpose.CLIENT_AUTH]
    builder = _builder(_subject_name(f"toytip {name}"), authority.subject, key.public_key(), CERTIFICATE_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(signs=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    if hosts:
        names = x509.SubjectAlternativeName([_alternative_name(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    return _write(folder, name, _sign(builder, signer, authority.public_key()), key)


def _new_key() -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _subject_name(common: str) -> Any:
    from cryptography import x509

    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])


def _alternative_name(host: str) -> Any:
    from cryptography import x509

    with contextlib.suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(host))
    return x509.DNSName(host)


def _builder(subject: Any, issuer: Any, public: Any, days: int) -> Any:
    from cryptography import x509

    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _key_usage(*, signs: bool) -> Any:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs, key_cert_sign=signs, crl_sign=signs, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
        decipher_only=False,
    )  # fmt: skip


def _sign(builder: Any, key: Any, authority: Any) -> Any:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority)
    return builder.add_extension(identifier, critical=False).sign(key, hashes.SHA256())


def _write(folder: Path, name: str, certificate: Any, key: Any) -> list[Path]:
    """Write a certificate and its key, exclusively; nobody but the owner can read the key, at any moment."""
    from cryptography.hazmat.primitives import serialization as to

    public = certificate.public_bytes(to.Encoding.PEM)
    private = key.private_bytes(to.Encoding.PEM, to.PrivateFormat.PKCS8, to.NoEncryption())
    made = []
    for path, content, mode in zip(_file_paths(folder, name), (public, private), (0o644, 0o600), strict=True):
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
        made.append(path)
    return made
