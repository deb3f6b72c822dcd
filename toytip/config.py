"""Settings: flags, then `TOYTIP_*`, then `.env`, then `toytip.toml`, then the defaults here."""

from __future__ import annotations

import os
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, Self

from dotenv import dotenv_values
from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from toytip.core.parameters import AlertThresholds, BoosterParams
from toytip.errors import ConfigError

FeatureSet = Literal["seed", "pickup", "dropoff", "payment"]
Segment = Literal["all", "card"]
# What a setting has to look like, and how that is said.
VERSION_PATTERN, RANGE_PATTERN = r"^[A-Za-z][A-Za-z0-9._-]{0,99}$", r"^[0-9]+:[0-9]+$"
PATTERN_DESCRIPTIONS = {
    VERSION_PATTERN: "a letter, then up to 99 letters, digits, . _ - only",
    RANGE_PATTERN: "two whole numbers with a colon between, as 1:8",
}
# Workers that a cluster may have.
MAX_WORKERS = 512


class Settings(BaseSettings):
    """Every setting of a run, with its default."""

    model_config = SettingsConfigDict(
        env_prefix="TOYTIP_", env_file=".env", toml_file="toytip.toml", extra="ignore", frozen=True
    )

    source: str | None = Field(None, description="folder, glob, list or URI of TLC monthly parquet")
    data_dir: str = Field("./toytip-data", min_length=1, description="folder that fetched months go to")
    base_url: str = Field(
        "https://d37ci6vzurychx.cloudfront.net", description="the server that the TLC publishes on"
    )
    months: str | None = Field(None, description="2023-01:2023-12, or a list 2023-01,2023-03")
    endpoint_url: str | None = Field(None, description="address of the S3 server, where it is not Amazon's")
    zone_lookup_file: str | None = Field(
        None, description="the TLC's zone table (default: looked for near the source)"
    )
    zone_map_file: str | None = Field(
        None, description="GeoJSON of the zones, which reports draw a map from (default: no map)"
    )
    source_endpoint_url: str | None = Field(
        None, description="address of the source's S3 server, where it is another"
    )
    full_refresh: bool = Field(False, description="make everything anew, whatever the store holds already")
    explain: bool = Field(False, description="say of every stage why it runs or not")
    store: str = Field("./toytip-store", min_length=1, description="where the versions live")
    env: Literal["dev", "prod"] = Field("dev", description="which side of the store")
    version_id: str | None = Field(
        None,
        pattern=VERSION_PATTERN,
        description="the id of the version to publish (default: a new one)",
    )

    workers: int | None = Field(
        None, ge=1, le=MAX_WORKERS, description="worker processes (default: one a core)"
    )
    threads_per_worker: int | None = Field(
        None, ge=1, description="threads in each (default: cores / workers)"
    )
    memory_limit: str | None = Field(
        None, description="memory per worker, as 4GB (default: its share of RAM)"
    )
    scheduler: str | None = Field(None, description="address of a Dask scheduler that is already there")
    cluster: str | None = Field(None, description="the cluster to run on, by its name in clusters.toml")
    clusters: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="clusters of your own, as clusters.toml defines them"
    )
    adapt: str | None = Field(
        None,
        pattern=RANGE_PATTERN,
        description="fewest and most workers, MIN:MAX, as there is work",
    )
    tls_ca_file: str | None = Field(None, description="certificate of the authority that the cluster trusts")
    tls_cert: str | None = Field(None, description="certificate of this end, signed by that authority")
    tls_key: str | None = Field(None, description="its private key")
    state_dir: str | None = Field(
        None, description="folder that remembers which clusters are up (default: ~/.local/state/toytip)"
    )
    dashboard_port: int | None = Field(
        None, ge=0, le=65535, description="port of the dashboard (default: 8787 where it is free; 0: any)"
    )
    progress: Literal["auto", "plain", "none"] = Field(
        "auto",
        description="how far it is: a grid (on a terminal), plain lines (elsewhere), or nothing but errors",
    )
    live_dashboard: bool = Field(True, description="show the run on the scheduler's dashboard, at /toytip")
    start_method: Literal["forkserver", "spawn"] = Field("forkserver", description="how workers start")
    partition_rows: int = Field(500_000, ge=1, description="rows in a partition, at most")

    train_months: str | None = Field(None, description="months to train on, A:B (default: all before valid)")
    validation_month: str | None = Field(
        None, description="month to stop and tune on, or none (default: last but one)"
    )
    test_months: str | None = Field(None, description="month to test on (default: last)")
    feature_set: FeatureSet = Field(
        "payment", description="the set of features, by the moment they are known"
    )
    segment: Segment = Field("all", description="trips to learn from: all, or paid by card")
    rounds: int = Field(BoosterParams.rounds, ge=1, description="boosting rounds, at most")
    max_depth: int = Field(BoosterParams.max_depth, ge=1, le=20, description="depth of a tree")
    learning_rate: float = Field(BoosterParams.learning_rate, gt=0, le=1, description="learning rate")
    early_stopping_rounds: int = Field(
        BoosterParams.early_stopping_rounds,
        ge=0,
        description="rounds without a better log loss before stopping; 0 = never",
    )

    min_child_weight: float = Field(
        BoosterParams.min_child_weight, ge=0, description="least weight of a leaf"
    )
    reg_lambda: float = Field(BoosterParams.reg_lambda, ge=0, description="L2 penalty of the leaves")
    gamma: float = Field(BoosterParams.gamma, ge=0, description="least gain of a split")
    params: str | None = Field(None, description="file of parameters, as `toytip tune` writes them")
    gate: Literal["on", "dry-run", "off"] = Field(
        "on", description="judge, register and promote the model of a run; only judge it; or neither"
    )

    alert_psi: float = Field(
        AlertThresholds.psi, gt=0, description="PSI of a feature beyond which a month counts as drifted"
    )
    alert_ks: float = Field(
        AlertThresholds.ks, gt=0, le=1, description="the same, of its Kolmogorov-Smirnov statistic"
    )
    alert_wasserstein: float = Field(
        AlertThresholds.wasserstein,
        gt=0,
        description="the same, of its Wasserstein distance, in spreads of the reference",
    )
    alert_min_importance: float = Field(
        AlertThresholds.min_importance,
        ge=0,
        le=1,
        description="share of the model's gain below which a feature's drift is only told",
    )
    alert_max_share_shift: float = Field(
        AlertThresholds.max_share_shift,
        gt=0,
        le=1,
        description="how far the shares of card trips, and of tips among them, may move",
    )
    alert_max_f1_loss: float = Field(
        AlertThresholds.max_f1_loss, gt=0, le=1, description="F1 that may be lost by skill"
    )
    alert_max_log_loss_increase: float = Field(
        AlertThresholds.max_log_loss_increase, gt=0, description="log loss that may be lost by skill"
    )
    alert_max_auc_loss: float = Field(
        AlertThresholds.max_auc_loss, gt=0, le=1, description="AUC among card trips that may be lost"
    )
    alert_min_breaches: int = Field(
        AlertThresholds.min_breaches, ge=1, description="an alert rings when a bound is broken so often .."
    )
    alert_window_months: int = Field(
        AlertThresholds.window_months, ge=1, description=".. in the last so many months, and in the latest"
    )

    synth_rows_per_month: int = Field(
        100_000, ge=1, description="trips a month in the built-in synthetic year"
    )
    synth_seed: int = Field(2020, ge=0, description="its seed")

    @field_validator("alert_window_months")
    @classmethod
    def _check_alert_window(cls, value: int, info: ValidationInfo) -> int:
        times = info.data.get("alert_min_breaches", 1)
        if value < times:
            raise PydanticCustomError(
                "window", "Must not be less than alert_min_breaches={times}", {"times": times}
            )
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the hook's fixed signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: flags, environment, `.env`, `toytip.toml`."""
        toml = TomlConfigSettingsSource(settings_cls)
        return init_settings, env_settings, dotenv_settings, toml

    @classmethod
    def load(cls, **flags: Any) -> Self:
        """Resolve the settings; flags that are None fall through to the next source.

        Parameters in the file that `params` names go behind flags, and before the environment.
        Raises ConfigError naming the first setting that is wrong.
        """
        set_flags = {name: value for name, value in flags.items() if value is not None}
        try:
            settings = cls(**set_flags)
            return cls(**{**read_params_file(settings.params), **set_flags}) if settings.params else settings
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            found = first.get("input")
            said = PATTERN_DESCRIPTIONS.get(first.get("ctx", {}).get("pattern", ""), first["msg"].lower())
            raise ConfigError(f"setting {name}={found!r}: {said}; see `toytip config --help`") from None
        except ValueError as error:  # toml that does not parse
            raise ConfigError(f"toytip.toml cannot be read: {error}") from None

    def to_masked_dict(self) -> dict[str, Any]:
        """Return the settings as plain values, credentials in URLs masked."""
        return {
            name: mask_credentials(value) if isinstance(value, str) else value
            for name, value in self.model_dump().items()
        }


TUNABLE_SETTINGS = tuple(each.name for each in fields(BoosterParams))


def read_params_file(file: str) -> dict[str, Any]:
    """Return the parameters in a TOML file. Raises ConfigError for another key, or what is no TOML."""
    try:
        found = tomllib.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"--params {file} cannot be read: {error}") from None
    if other := sorted(set(found) - set(TUNABLE_SETTINGS)):
        raise ConfigError(
            f"--params {file}: {', '.join(other)}: only {', '.join(TUNABLE_SETTINGS)} can stand there"
        )
    return found


def export_credentials() -> None:
    """Give the object store's settings in `.env` (`AWS_*`) to this process and those that it starts.

    They go no other way: no setting, message or task holds them. What the environment has goes first.
    """
    for name, value in dotenv_values(".env").items():
        if name.startswith("AWS_") and value and not os.environ.get(name):
            os.environ[name] = value


def first_line(error: Exception) -> str:
    """Return the first line of what an error says, credentials masked."""
    return (
        mask_credentials(str(error).strip().splitlines()[0]) if str(error).strip() else type(error).__name__
    )


def mask_credentials(uri: str) -> str:
    """Hide user and password in a URI.

    >>> mask_credentials("s3://key:secret@bucket/trips")
    's3://***@bucket/trips'
    >>> mask_credentials("./toytip-store")
    './toytip-store'
    """
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return uri
    host, slash, path = rest.partition("/")
    if "@" in host:
        host = "***@" + host.rpartition("@")[2]
    return f"{scheme}://{host}{slash}{path}"
