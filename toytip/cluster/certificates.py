"""A certificate authority, and the certificates that it signs for nodes and clients."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toytip.core.redact import first_line
from toytip.errors import ConfigError, ToytipError

AUTHORITY_DAYS = 3650
# The longest validity that browsers accept for a server certificate: a year, plus a month for the
# renewal.
CERTIFICATE_DAYS = 397
# The clocks of hosts differ, so a certificate is valid from shortly before its creation.
CLOCK_SKEW = dt.timedelta(minutes=10)
AUTHORITY, NODE, CLIENT = "ca", "node", "client"
# Host names that DNS accepts, in ASCII. A name whose last label has only digits is a mistyped IP
# address, so the pattern does not match it.
HOST_LABEL_PATTERN = "[a-z0-9_]([a-z0-9_-]*[a-z0-9])?"
HOST_NAME_PATTERN = re.compile(
    rf"(\*\.)?({HOST_LABEL_PATTERN}\.)*(?=[0-9]*[a-z_-]){HOST_LABEL_PATTERN}", re.IGNORECASE
)


def create_certificates(folder: Path, hosts: Sequence[str]) -> list[Path]:
    """Create the certificates `ca`, `node` and `client`, each as a `.pem` and a `.key` file.

    If the authority `ca` already exists, it signs the other two certificates. The `node`
    certificate names all hosts. Returns the paths of the new files. Raises ConfigError if a host is
    invalid, or if a file already exists or cannot be written.
    """
    if not hosts:
        raise ConfigError(
            "cannot create certificates: --hosts is empty",
            hint="Set --hosts to host names or addresses, separated by commas.",
        )
    for host in hosts:
        _validate_host(host)
    _require_no_overwrite(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as name:
            return _move_files(_create_files(folder, Path(name), hosts), folder)
    except (OSError, ValueError) as error:
        raise ToytipError(
            f"cannot create certificates in {folder}: {first_line(error)}",
            hint="Set --output-dir to a writable folder.",
        ) from None


def _create_files(folder: Path, new: Path, hosts: Sequence[str]) -> list[Path]:
    """Create all certificates in the private folder `new`, signed by the authority of `folder`."""
    authority = _file_paths(folder, AUTHORITY)
    created = [] if authority[0].exists() else _create_authority(new)
    signer = _read_authority(*(authority if not created else _file_paths(new, AUTHORITY)))
    created += _create_certificate(new, NODE, hosts, signer)
    return created + _create_certificate(new, CLIENT, (), signer)


def _move_files(files: Sequence[Path], folder: Path) -> list[Path]:
    """Move complete files to a folder, each in one step. An existing file is an error."""
    folder.mkdir(mode=0o700, exist_ok=True)
    # Keys first: a certificate without its key would look complete.
    for file in sorted(files, key=lambda path: path.suffix):
        (folder / file.name).hardlink_to(file)
    return [folder / file.name for file in files]


def _require_no_overwrite(folder: Path) -> None:
    """Raise ConfigError if a new file already exists, or if the authority has only one file."""
    existing = [path for name in (NODE, CLIENT) for path in _file_paths(folder, name) if path.exists()]
    certificate, key = _file_paths(folder, AUTHORITY)
    if certificate.exists() != key.exists():
        existing.append(certificate)
    if existing:
        raise ConfigError(
            f"cannot create certificates in {folder}: {existing[0]} already exists",
            hint="Remove the file, or choose another --output-dir. Keep ca.pem and ca.key: "
            "the existing authority signs the new certificates.",
        )


def _validate_host(host: str) -> None:
    """Raise ConfigError if a host is neither an IP address nor a host name."""
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host)
        return
    if not HOST_NAME_PATTERN.fullmatch(host):
        raise ConfigError(
            f"cannot create a certificate for --hosts {host!r}: it is neither a host name nor an IP address",
            hint="Write hosts as node1.example or 10.0.0.1, in ASCII, without a scheme or a port.",
        )


def _file_paths(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / f"{name}.pem", folder / f"{name}.key"


def _create_authority(folder: Path) -> list[Path]:
    from cryptography import x509

    key = _new_key()
    name = _subject_name("toytip cluster authority")
    builder = _builder(name, name, key.public_key(), AUTHORITY_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_key_usage(is_authority=True), critical=True)
    return _write(folder, AUTHORITY, _sign(builder, key, key.public_key()), key)


def _read_authority(certificate: Path, key: Path) -> tuple[Any, Any]:
    """Return the certificate and the private key of an authority."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    return (
        x509.load_pem_x509_certificate(certificate.read_bytes()),
        load_pem_private_key(key.read_bytes(), password=None),
    )


def _create_certificate(
    folder: Path, name: str, hosts: Sequence[str], signed_by: tuple[Any, Any]
) -> list[Path]:
    """Create a certificate. Nodes are servers for some connections and clients for others."""
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose

    authority, signer = signed_by
    key = _new_key()
    purposes = [Purpose.CLIENT_AUTH] if name == CLIENT else [Purpose.SERVER_AUTH, Purpose.CLIENT_AUTH]
    builder = _builder(_subject_name(f"toytip {name}"), authority.subject, key.public_key(), CERTIFICATE_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(is_authority=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    if hosts:
        names = x509.SubjectAlternativeName([_alternative_name(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    return _write(folder, name, _sign(builder, signer, authority.public_key()), key)


def _new_key() -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _subject_name(common_name: str) -> Any:
    from cryptography import x509

    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])


def _alternative_name(host: str) -> Any:
    from cryptography import x509

    with contextlib.suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(host))
    return x509.DNSName(host)


def _builder(subject: Any, issuer: Any, public_key: Any, days: int) -> Any:
    from cryptography import x509

    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _key_usage(*, is_authority: bool) -> Any:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _sign(builder: Any, key: Any, authority_key: Any) -> Any:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key)
    return builder.add_extension(identifier, critical=False).sign(key, hashes.SHA256())


def _write(folder: Path, name: str, certificate: Any, key: Any) -> list[Path]:
    """Write a certificate and its key to new files. Only the owner can read the key file."""
    from cryptography.hazmat.primitives import serialization

    pem = serialization.Encoding.PEM
    public = certificate.public_bytes(pem)
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    paths = _file_paths(folder, name)
    for path, content, mode in zip(paths, (public, private), (0o644, 0o600), strict=True):
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
    return list(paths)
