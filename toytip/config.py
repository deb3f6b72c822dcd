"""The settings, from options, parameter file, `TOYTIP_*`, `.env`, `toytip.toml` and defaults."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from toytip.core.parameters import AlertThresholds, BoosterParams
from toytip.core.redact import mask_credentials
from toytip.settings_files import (
    CONSTRAINTS_PATTERN,
    FILE_ENCODING,
    RANGE_PATTERN,
    SETTINGS_FILE,
    VARIABLE_PREFIX,
    VERSION_PATTERN,
    ProjectSettings,
    TomlSource,
    check_settings_file,
    invalid_setting,
    read_params_file,
    refuse_misread_value,
)

Env = Literal["dev", "prod"]
GateMode = Literal["on", "dry-run", "off"]
StartMethod = Literal["forkserver", "spawn"]
ProgressChoice = Literal["auto", "plain", "none"]

MAX_WORKERS = 512
COMPUTED_DEFAULT = "computed_default"


def _setting(default: Any, description: str, *, computed_default: str = "", **constraints: Any) -> Any:
    """Return a field of `Settings`. `computed_default` describes the default if it is None."""
    extra: JsonDict | None = {COMPUTED_DEFAULT: computed_default} if computed_default else None
    return Field(default, description=description, json_schema_extra=extra, **constraints)


class Settings(BaseSettings):
    """All settings of a run."""

    model_config = SettingsConfigDict(
        env_prefix=VARIABLE_PREFIX,
        env_file=".env",
        env_file_encoding=FILE_ENCODING,
        toml_file=SETTINGS_FILE,
        extra="ignore",
        frozen=True,
        str_strip_whitespace=True,
        coerce_numbers_to_str=True,  # months = 2023 in toytip.toml
        allow_inf_nan=False,  # JSON, in which toytip stores settings, does not have these numbers
    )

    source: str | None = _setting(
        None,
        "TLC trip records in Parquet or CSV: a folder, a glob, a URI or a comma-separated list. "
        "tlc:green, tlc:yellow or tlc:fhvhv downloads the files of --months.",
        computed_default="a synthetic year",
    )
    source_endpoint_url: str | None = _setting(
        None, "URL of the S3 server of the source.", computed_default="the server of --endpoint-url"
    )
    project: ProjectSettings = Field(
        default_factory=ProjectSettings,
        description="Your own features, rules, label and segment: `module` is the Python file that declares them.",
    )
    allow_project_code: bool = _setting(
        False, "Run the code of projects in models and versions, even if you have never run it from a file."
    )
    months: str | None = _setting(
        None,
        "Months of the source: a year such as 2023, a range such as 2023-01:2023-12, or a list such as "
        "2023-01,2023-03. Required for a download such as tlc:green.",
        computed_default="all months of the files",
    )
    data_dir: str = _setting("./toytip-data", "Folder for downloaded files.", min_length=1)
    base_url: str = _setting(
        "https://d37ci6vzurychx.cloudfront.net", "URL of the server that publishes the TLC's files."
    )
    zone_lookup_file: str | None = _setting(
        None,
        "CSV file with the TLC's zone names and boroughs.",
        computed_default="taxi_zone_lookup.csv near the source",
    )
    zone_map_file: str | None = _setting(
        None, "GeoJSON file with the TLC's zones, for maps in the report.", computed_default="no map"
    )
    partition_rows: int = _setting(500_000, "Maximum number of rows per partition.", ge=1)

    store: str = _setting("./toytip-store", "Folder or S3 URI of the store.", min_length=1)
    endpoint_url: str | None = _setting(
        None, "URL of the S3 server of the store.", computed_default="AWS_ENDPOINT_URL, else the AWS profile"
    )
    env: Env = _setting("dev", "Environment in the store. Each environment has its own versions and models.")
    version_id: str | None = _setting(
        None, "ID of the version to publish.", computed_default="a new ID", pattern=VERSION_PATTERN
    )
    full_refresh: bool = _setting(False, "Compute all outputs again, even if the store already has them.")
    explain: bool = _setting(
        False,
        "For each of the stages featurize, preprocess, train and infer, print why it runs, or which output it reuses.",
    )

    workers: int | None = _setting(
        None, "Number of worker processes.", computed_default="one per core", ge=1, le=MAX_WORKERS
    )
    threads_per_worker: int | None = _setting(
        None, "Number of threads per worker.", computed_default="cores divided by workers", ge=1
    )
    memory_limit: str | None = _setting(
        None,
        "Memory limit per worker, for example 4GB.",
        computed_default="memory of the machine divided by number of workers",
    )
    scheduler: str | None = _setting(
        None,
        "Address of a running Dask scheduler, tcp://HOST:PORT or tls://HOST:PORT.",
        computed_default="toytip starts one",
    )
    cluster: str | None = _setting(
        None, "Name of a cluster in clusters.toml or toytip.toml.", computed_default="local"
    )
    clusters: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Your own cluster definitions, with the same keys as clusters.toml."
    )
    adapt: str | None = _setting(
        None,
        "Minimum and maximum number of workers for adaptive scaling, as MIN:MAX.",
        computed_default="a fixed number of workers",
        pattern=RANGE_PATTERN,
    )
    tls_ca_file: str | None = _setting(
        None,
        "PEM file with the certificate of the authority that signed the cluster's certificates.",
        computed_default="no TLS",
    )
    tls_cert: str | None = _setting(
        None, "PEM file with the certificate of this machine.", computed_default="no TLS"
    )
    tls_key: str | None = _setting(
        None, "PEM file with the private key of this machine.", computed_default="no TLS"
    )
    state_dir: str | None = _setting(
        None,
        "Folder in which toytip records running clusters, and the code of projects that you have run.",
        computed_default="~/.local/state/toytip",
    )
    dashboard_port: int | None = _setting(
        None,
        "Port of the Dask dashboard. 0 selects any free port.",
        computed_default="8787 if it is free",
        ge=0,
        le=65535,
    )
    live_dashboard: bool = _setting(True, "Show the run dashboard at /toytip on the Dask dashboard.")
    start_method: StartMethod = _setting("forkserver", "Start method of local worker processes.")
    progress: ProgressChoice = _setting(
        "auto",
        "Progress on stderr: a grid on a terminal and plain lines elsewhere (auto), always plain "
        "lines (plain), or nothing (none).",
    )

    train_months: str | None = _setting(
        None, "Months to train on, as FIRST:LAST.", computed_default="all months before the validation month"
    )
    validation_month: str | None = _setting(
        None,
        "Month for early stopping and the decision threshold, or none to train without validation.",
        computed_default="the month before the test months",
    )
    test_months: str | None = _setting(
        None, "Months to test on, as FIRST:LAST.", computed_default="the latest month of the source"
    )
    feature_set: str | None = _setting(
        None,
        "Feature set: a moment such as pickup, dropoff or payment, for the features that are known then, or "
        "seed, for the eleven features of toy-ml-pipeline.",
        computed_default="all features that are known before the label (payment)",
    )
    segment: str = _setting("all", "Trips to train on: all, or a segment of the data set, such as card.")
    rounds: int = _setting(BoosterParams.rounds, "Maximum number of boosting rounds.", ge=1, le=100_000)
    max_depth: int = _setting(BoosterParams.max_depth, "Maximum depth of a tree.", ge=1, le=20)
    learning_rate: float = _setting(
        BoosterParams.learning_rate, "Learning rate (eta in XGBoost).", gt=0, le=1
    )
    early_stopping_rounds: int = _setting(
        BoosterParams.early_stopping_rounds,
        "Number of rounds without a lower validation loss after which training stops. 0 disables "
        "early stopping.",
        ge=0,
    )
    min_child_weight: float = _setting(
        BoosterParams.min_child_weight, "Minimum sum of the second derivatives of the loss in a leaf.", ge=0
    )
    reg_lambda: float = _setting(BoosterParams.reg_lambda, "L2 penalty on the leaf weights.", ge=0)
    gamma: float = _setting(BoosterParams.gamma, "Minimum loss reduction for a split.", ge=0)
    reg_alpha: float = _setting(BoosterParams.reg_alpha, "L1 penalty on the leaf weights.", ge=0)
    subsample: float = _setting(
        BoosterParams.subsample,
        "Share of the training trips that each round uses. A hash of the trip ID selects the trips.",
        gt=0,
        le=1,
    )
    colsample_bytree: float = _setting(
        BoosterParams.colsample_bytree, "Share of the features that each tree uses.", gt=0, le=1
    )
    colsample_bylevel: float = _setting(
        BoosterParams.colsample_bylevel, "Share of a tree's features that each level uses.", gt=0, le=1
    )
    sampling_seed: int = _setting(
        BoosterParams.sampling_seed, "Random seed of row and column sampling.", ge=0, le=2**31 - 1
    )
    scale_pos_weight: float = _setting(
        BoosterParams.scale_pos_weight, "Weight factor of positive labels in training.", gt=0, le=1e9
    )
    max_bin: int = _setting(
        BoosterParams.max_bin,
        "Maximum number of quantile bins per feature. Features with few values have a bin per value.",
        ge=2,
        le=254,
    )
    monotone_constraints: str | None = _setting(
        None,
        "Monotone constraints, as NAME=1 or NAME=-1, separated by commas. If the feature NAME grows, the "
        "probability does not fall (1) or does not rise (-1).",
        computed_default="no constraints",
        pattern=CONSTRAINTS_PATTERN,
    )
    params: str | None = _setting(
        None, "TOML file with model parameters, for example from `toytip tune`.", computed_default="no file"
    )
    gate: GateMode = _setting(
        "on", "Promotion gate: evaluate and promote (on), evaluate only (dry-run), or skip (off)."
    )

    alert_psi: float = _setting(
        AlertThresholds.psi, "Threshold for the population stability index (PSI) of a feature.", gt=0
    )
    alert_ks: float = _setting(
        AlertThresholds.ks, "Threshold for the Kolmogorov-Smirnov statistic of a feature.", gt=0, le=1
    )
    alert_wasserstein: float = _setting(
        AlertThresholds.wasserstein,
        "Threshold for the Wasserstein distance of a feature, in robust standard deviations of the "
        "reference.",
        gt=0,
    )
    alert_min_importance: float = _setting(
        AlertThresholds.min_importance,
        "Minimum feature importance (share of the model's total gain). Drift of less important "
        "features does not fire an alert.",
        ge=0,
        le=1,
    )
    alert_max_share_shift: float = _setting(
        AlertThresholds.max_share_shift,
        "Threshold for a change in the share of the segment, or in the share of positive labels in the segment.",
        gt=0,
        le=1,
    )
    alert_max_f1_loss: float = _setting(
        AlertThresholds.max_f1_loss, "Threshold for the F1 loss that is due to the model.", gt=0, le=1
    )
    alert_max_log_loss_increase: float = _setting(
        AlertThresholds.max_log_loss_increase,
        "Threshold for the log loss increase that is due to the model.",
        gt=0,
    )
    alert_max_auc_loss: float = _setting(
        AlertThresholds.max_auc_loss, "Threshold for the AUC loss in the segment.", gt=0, le=1
    )
    alert_min_breaches: int = _setting(
        AlertThresholds.min_breaches,
        "An alert fires only if at least this many months, or all months if there are fewer, have a "
        "breach (an exceeded threshold). The latest month must be one of them.",
        ge=1,
    )
    alert_window_months: int = _setting(
        AlertThresholds.window_months,
        "Number of months, up to and including the latest month, in which toytip counts breaches.",
        ge=1,
    )

    synth_rows_per_month: int = _setting(
        100_000, "Mean number of trips per month in the synthetic year.", ge=1
    )
    synth_seed: int = _setting(2020, "Random seed of the synthetic year.", ge=0)

    _refuse_misread = field_validator("*", mode="before")(refuse_misread_value)

    @field_validator("store", "data_dir", "zone_lookup_file", "zone_map_file", "params")
    @classmethod
    def _expand_home(cls, path: str | None) -> str | None:
        """Return a path with the home folder in place of `~`, which no shell replaces in a file."""
        if path is None or not path.startswith("~") or Path(path).exists():
            return path
        return os.path.expanduser(path)  # noqa: PTH111 - keeps the path as it is without a home

    @field_validator("alert_window_months")
    @classmethod
    def _check_alert_window(cls, months: int, info: ValidationInfo) -> int:
        if months < (breaches := info.data.get("alert_min_breaches", 1)):
            text = "Must not be less than alert_min_breaches={breaches}"
            raise PydanticCustomError("window", text, {"breaches": breaches})
        return months

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the hook's fixed signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources of settings in order: flags, environment, `.env`, `toytip.toml`."""
        return init_settings, env_settings, dotenv_settings, TomlSource(settings_cls)

    @classmethod
    def load(cls, **flags: Any) -> Self:
        """Resolve the settings. A flag that is None counts as not set.

        Flags override the parameter file, which overrides the environment, wherever `params` is
        set. Raises ConfigError if a setting is invalid or a file cannot be read.
        """
        set_flags = {name: value for name, value in flags.items() if value is not None}
        check_settings_file(Settings.model_fields)
        try:
            settings = cls(**set_flags)
        except ValueError as error:  # a ValidationError, or another error of a variable
            raise invalid_setting(error) from None
        params = read_params_file(settings.params) if settings.params else {}
        try:
            return cls(**{**params, **set_flags}) if params else settings
        except ValidationError as error:
            raise invalid_setting(error, f"parameter file {settings.params}") from None

    def to_masked_dict(self) -> dict[str, Any]:
        """Return the settings as plain values, with credentials in URLs masked."""
        return {
            name: mask_credentials(value) if isinstance(value, str) else value
            for name, value in self.model_dump().items()
        }
