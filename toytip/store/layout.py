"""The names of all files in a store. A name is the path of a file below the root of the store."""

from __future__ import annotations

import datetime as dt
import re
import secrets
from dataclasses import dataclass

from toytip.errors import StoreError

VERSION_PREFIX = "version="
_TABLE_REGEX = re.compile(r"[a-z][a-z_]{0,40}")
_VERSION_REGEX = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,99}")

_MANIFESTS = "_versions"
_STAGING = "_staging"
_NOTES = "notes"
_TRAINING_SCORES = "scores"
_CHECKPOINTS = "_checkpoints"
_REPORTS = "_reports"
_PINNED = "_pinned"
_TAGS = "_tags"
_RUNS = "_runs"
_RELEASES = "_releases"
_ACCEPTANCES = "_accepted"
_REGISTRY = "_registry"
_STUDIES = "_studies"
_PROBES = "_probes"
# The folder of the built-in synthetic months, which all environments of a store share.
SOURCE_FOLDER = "_source"


def synthetic_folder(store: str, rows_per_month: int, seed: int) -> str:
    """Return the folder of the synthetic year in a store."""
    return f"{store.rstrip('/')}/{SOURCE_FOLDER}/synthetic-{rows_per_month}-{seed}"


@dataclass(frozen=True)
class Layout:
    """The names of the files of one environment. `docs/explanation/store.md` lists the names.

    Methods that take a version or a table raise StoreError if the name is not valid.
    """

    env: str

    # data

    def version_folder(self, table: str, version: str) -> str:
        """Return the folder of a table's files in a published version."""
        return f"{self.env}/{version_path(table, version)}"

    def table_folder(self, table: str) -> str:
        """Return the folder of all versions of a table."""
        return f"{self.env}/{validate_table_name(table)}"

    def manifests(self, table: str | None = None) -> str:
        """Return the folder of the manifests of a table, or of all tables."""
        folder = f"{self.env}/{_MANIFESTS}"
        return folder if table is None else f"{folder}/{validate_table_name(table)}"

    def manifest(self, table: str, version: str) -> str:
        """Return the name of the manifest of a version."""
        return f"{self.manifests(table)}/{validate_version(version)}.json"

    @property
    def runs(self) -> str:
        """The folder of the run manifests."""
        return f"{self.env}/{_RUNS}"

    def run_manifest(self, version: str) -> str:
        """Return the name of the run manifest of a version."""
        return f"{self.runs}/{validate_version(version)}.json"

    # staging

    @property
    def staging(self) -> str:
        """The folder of unpublished versions and their locks."""
        return f"{self.env}/{_STAGING}"

    def staged_version(self, version: str) -> str:
        """Return the folder of an unpublished version. Its lock has the same name with a suffix."""
        return f"{self.staging}/{validate_version(version)}"

    def staged_folder(self, table: str, version: str) -> str:
        """Return the folder of a table's files in an unpublished version."""
        return f"{self.staged_version(version)}/{validate_table_name(table)}"

    def notes(self, version: str) -> str:
        """Return the folder of the notes of a version. Each note marks a data file as complete."""
        return f"{self.staged_version(version)}/{_NOTES}"

    def note(self, table: str, version: str, name: str) -> str:
        """Return the name of the note of a data file."""
        return f"{self.notes(version)}/{table}/{name}.json"

    def parse_note(self, name: str) -> tuple[str, str] | None:
        """Return the version and the table of a note, or None for any other staged file."""
        match name.removeprefix(f"{self.staging}/").split("/"):
            case [version, kind, table, _] if kind == _NOTES:
                return version, table
        return None

    def training_scores(self, version: str, path: str) -> str:
        """Return the name of the file that holds the training scores of a data file."""
        return f"{self.staged_version(version)}/{_TRAINING_SCORES}/{path}.npy"

    # other files

    def checkpoint(self, fingerprint: str) -> str:
        """Return the name of the checkpoint with a fingerprint."""
        return f"{self.checkpoints}/{fingerprint}.checkpoint"

    @property
    def checkpoints(self) -> str:
        """The folder of training checkpoints."""
        return f"{self.env}/{_CHECKPOINTS}"

    @property
    def reports(self) -> str:
        """The folder of reports and run results."""
        return f"{self.env}/{_REPORTS}"

    def report(self, name: str) -> str:
        """Return the name of a report or run result."""
        return f"{self.reports}/{name}"

    def page(self, version: str) -> str:
        """Return the name of the HTML report of a version."""
        return self.report(f"{validate_version(version)}.html")

    def run_result(self, version: str) -> str:
        """Return the name of the result of a run."""
        return self.report(f"{validate_version(version)}.run.json")

    @property
    def pinned(self) -> str:
        """The folder of the records of registered models."""
        return f"{self.env}/{_PINNED}"

    def pin(self, version: str) -> str:
        """Return the name of the record of a registered model."""
        return f"{self.pinned}/{validate_version(version)}.json"

    @property
    def tags(self) -> str:
        """The folder of tags."""
        return f"{self.env}/{_TAGS}"

    def tag(self, name: str) -> str:
        """Return the name of the file of a tag."""
        return f"{self.tags}/{validate_version(name)}.json"

    @property
    def releases(self) -> str:
        """The folder of the records of releases and rollbacks."""
        return f"{self.env}/{_RELEASES}"

    def release(self, name: str) -> str:
        """Return the name of the record of a release or rollback."""
        return f"{self.releases}/{name}.json"

    @property
    def acceptances(self) -> str:
        """The folder of the months that a person accepted."""
        return f"{self.env}/{_ACCEPTANCES}"

    def acceptance(self, taxi: str, month: str) -> str:
        """Return the name of the record of an accepted month."""
        return f"{self.acceptances}/{taxi}-{month}.json"

    @property
    def registry(self) -> str:
        """The folder of the model registry, if no MLflow server is configured."""
        return f"{self.env}/{_REGISTRY}"

    def study(self, name: str) -> str:
        """Return the name of the file with the trials of `toytip tune`."""
        return f"{self.env}/{_STUDIES}/{name}.db"

    def probes(self, token: str) -> str:
        """Return the folder of the probe files of one preflight check."""
        return f"{self.env}/{_PROBES}/{token}"

    # classification, for garbage collection

    def staged_version_of(self, name: str) -> str | None:
        """Return the version of a staged file or lock, or None for other files."""
        folder, _, rest = name.removeprefix(f"{self.env}/").partition("/")
        if folder != _STAGING:
            return None
        return rest.partition("/")[0].removesuffix(".lock").removesuffix(".lease")

    def version_of_data_file(self, name: str) -> tuple[str, str] | None:
        """Return the table and the version of a data file, or None for other files."""
        table, _, rest = name.removeprefix(f"{self.env}/").partition("/")
        folder = rest.partition("/")[0]
        if not folder.startswith(VERSION_PREFIX):
            return None
        return table, folder.removeprefix(VERSION_PREFIX)


def new_version_id() -> str:
    """Return a new version ID, such as `v20261124T101500Z-3f9c2a`. IDs sort by time."""
    now = dt.datetime.now(dt.UTC)
    return f"v{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def version_path(table: str, version: str) -> str:
    """Return the folder of a version, relative to its environment.

    >>> version_path("features", "v1")
    'features/version=v1'
    """
    return f"{validate_table_name(table)}/{VERSION_PREFIX}{validate_version(version)}"


def is_manifest_name(name: str) -> bool:
    """Return whether a file can be a manifest. False for a copy such as `v1 (copy).json`."""
    folder, _, file = name.rpartition("/")
    version, dot, suffix = file.rpartition(".")
    table = folder.rpartition("/")[2]
    is_known_folder = table == _RUNS or _TABLE_REGEX.fullmatch(table)
    return bool(_VERSION_REGEX.fullmatch(version) and dot + suffix == ".json" and is_known_folder)


def validate_table_name(name: str) -> str:
    """Return the name of a table. Raises StoreError if the name is not valid."""
    if not _TABLE_REGEX.fullmatch(name):
        raise StoreError(
            f"cannot use the table name {name!r}: it is not valid",
            hint="List the tables of the store with `toytip version list`.",
        )
    return name


def validate_version(version: str) -> str:
    """Return a version ID. Raises StoreError if the ID is not valid."""
    if not _VERSION_REGEX.fullmatch(version):
        raise StoreError(
            f"cannot use the version {version!r}: it is not a valid version ID",
            hint="Start with a letter. Use only letters, digits, dots, hyphens and underscores (at most 100).",
        )
    return version
