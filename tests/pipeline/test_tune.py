"""Tuning on time-series folds: the same result on any number of workers, and resumable studies."""

import dataclasses
import tomllib

import numpy as np
import pytest

from tests.support.runs import parse_summary, run_toytip
from tests.support.trips import make_manifest, make_part_record, publish_table
from toytip.cli.command import open_features
from toytip.cli.render.models import show_tuning
from toytip.config import Settings
from toytip.core import splits
from toytip.core.months import parse_months
from toytip.core.parameters import BoosterParams
from toytip.core.schema import Table
from toytip.core.tables import FEATURES
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.errors import ClusterError, ConfigError, ToytipError
from toytip.pipeline.context import RunContext
from toytip.pipeline.experiments import tune as pipeline_tune
from toytip.progress.tracker import Progress
from toytip.store.refs import resolve_version
from toytip.store.store import store_from_settings
from toytip.training.tuning import FoldScore, TrialResult


@pytest.fixture(scope="module")
def store(synthetic, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tune") / "store"
    parse_summary(
        run_toytip("run", "--source", synthetic, "--store", folder, "--workers", 2, "--rounds", 3, "--json")
    )
    return folder


def tune(client, store, study, trials=6, env="dev", **more):
    settings = Settings.load(store=str(store), rounds=15, early_stopping_rounds=5, env=env)
    place = store_from_settings(settings)
    context = RunContext(settings, place, client, Progress(), "")
    asked = {"trials": trials, "folds": 2, "max_rows": 100_000, "seed": 1, **more}
    return pipeline_tune.tune(context, resolve_version(place, "features"), study=str(study), **asked)


@pytest.fixture(scope="module")
def found(client, store, tmp_path_factory):
    return tune(client, store, tmp_path_factory.mktemp("study") / "study.db")


def test_tuning_starts_with_the_defaults_and_ends_no_worse(found):
    assert (found.default.params["max_depth"], found.default.params["learning_rate"]) == (
        BoosterParams().max_depth,
        BoosterParams().learning_rate,
    )
    assert found.best.log_loss <= found.default.log_loss
    assert found.fold_months == ["2020-02", "2020-03"], "never the test month"
    assert len(found.trials) == 6
    assert all(score.auc > 0.5 for score in found.best.fold_scores)


def test_the_result_depends_neither_on_the_workers_nor_on_the_store(found, synthetic, tmp_path):
    """The command reads the source into a new store, and finds the same parameters."""
    done = run_toytip(
        "tune",
        "--source",
        synthetic,
        "--store",
        tmp_path / "store",
        "--workers",
        1,
        "--rounds",
        15,
        "--early-stopping-rounds",
        5,
        "--trials",
        6,
        "--folds",
        2,
        "--max-rows",
        100_000,
        "--seed",
        1,
        "--study",
        tmp_path / "s.db",
        "--output",
        tmp_path / "p.toml",
        "--json",
    )
    told = parse_summary(done)
    assert told["best"]["params"] == found.best.params
    assert told["best"]["log_loss"] == found.best.log_loss
    assert told["max_rounds_trials"] == len(found.max_rounds_trials)
    written = tomllib.loads((tmp_path / "p.toml").read_text())
    assert {name: written[name] for name in found.best.params} == found.best.params


def test_a_study_resumes_after_its_last_trial(client, store, tmp_path):
    first = tune(client, store, tmp_path / "s.db", trials=2)
    more = tune(client, store, tmp_path / "s.db", trials=3)
    assert (first.resumed_trials, more.resumed_trials) == (0, 2)
    assert more.trials[:2] == first.trials
    again = tune(client, store, tmp_path / "s.db", trials=3)
    assert again.trials == more.trials


@pytest.mark.parametrize(
    ("rounds", "patience", "best_rounds", "reached"),
    [
        (40, 20, (40, 40), True),
        (40, 20, (12, 30), True),  # early stopping would have needed 50 rounds
        (40, 20, (12, 20), False),
        (40, 0, (40, 12), True),  # without early stopping, the best round is the last one
        (40, 0, (39, 12), False),
    ],
)
def test_the_maximum_number_of_rounds_can_limit_a_trial(
    rounds, patience, best_rounds, reached, tmp_path, capsys
):
    trial = TrialResult(0, {"max_depth": 6}, [FoldScore(0.4, 0.8, best) for best in best_rounds])
    settings = Settings.load(rounds=rounds, early_stopping_rounds=patience)
    assert pipeline_tune.reached_max_rounds(trial, settings) is reached
    result = pipeline_tune.TuningResult(
        best=trial,
        default=trial,
        trials=[trial],
        fold_months=["2023-01", "2023-02"],
        rows=9,
        resumed_trials=0,
        max_rounds=rounds,
        max_rounds_trials=[trial] if reached else [],
    )
    show_tuning(result, tmp_path / "p.toml")
    pipeline_tune.write_params_file(
        result,
        tmp_path / "p.toml",
        make_manifest([]),
        BoosterParams(early_stopping_rounds=patience, scale_pos_weight=2),
    )
    printed, written = capsys.readouterr().out, (tmp_path / "p.toml").read_text()
    assert ("the maximum of 40 rounds ended the training of the best trial" in printed) is reached
    assert ("the maximum of 40 rounds. More rounds may be better" in written) is reached
    params = tomllib.loads(written)
    assert params == {
        "max_depth": 6,
        "rounds": params["rounds"],
        "early_stopping_rounds": patience,
        "scale_pos_weight": 2,
    }, "also the parameters that are the same in all trials"


@pytest.mark.usefixtures("short_probe")
@pytest.mark.parametrize("taxis", [("green",), ("green", "yellow")])
def test_features_of_two_taxi_types_are_never_chosen_by_date(taxis, tmp_path):
    settings = Settings.load(store=str(tmp_path), scheduler="tcp://127.0.0.1:1")
    place = store_from_settings(settings)
    for number, taxi in enumerate(taxis, 1):
        files = [place.write_file("features", f"v{number}", "a.parquet", b"")]
        manifest = make_manifest(files, f"v{number}", table="features")
        publish_table(place, dataclasses.replace(manifest, config={"taxi": taxi}))
    # The scheduler does not exist, so the command fails after it has chosen the features.
    error = ConfigError if taxis[1:] else ClusterError
    for version, expected in ((None, error), ("v1", ClusterError)):
        with pytest.raises(expected) as raised, open_features(settings, Progress("none"), version, None):
            pass
        if expected is ConfigError:
            assert "has features of green and yellow taxis" in str(raised.value)
            assert "--source" in raised.value.hint


def test_a_study_that_cannot_be_written_is_rejected_before_the_work(client, store):
    with pytest.raises(ToytipError, match=r"cannot write the study .*: not a directory"):
        tune(client, store, "/dev/null/studies/s.db")


def test_labels_of_the_test_month_do_not_affect_the_result(client, store, found, tmp_path):
    """The features of the test month are published again, with shuffled labels."""
    place = store_from_settings(Settings.load(store=str(store)))
    manifest = resolve_version(place, "features")
    other = store_from_settings(Settings.load(store=str(store), env="prod"))
    records = []
    for part in manifest.files:
        frame = place.read_data_file(TLC.table(FEATURES), manifest.version, part)
        if part.month == (2020, 4):
            frame["high_tip"] = np.random.default_rng(0).permutation(frame["high_tip"])
        records.append(
            other.write_data_file(
                Table("features", TLC.table(FEATURES).columns), "v1", make_part_record(part.month), frame
            )
        )
    publish_table(other, dataclasses.replace(manifest, version="v1", files=tuple(records)))
    mixed = tune(client, store, tmp_path / "s.db", env="prod")
    assert mixed.trials == found.trials


def test_the_sample_of_rows_does_not_depend_on_the_partitions():
    from tests.stages.test_target_encoding import encoding_of, year

    features = year(3_000)
    features["trip_id"] = np.arange(len(features)) * 7
    encoding = encoding_of([features])
    whole = pipeline_tune.sample_rows(features, encoding, 0.3)
    parts = [pipeline_tune.sample_rows(features[a:b], encoding, 0.3) for a, b in ((0, 700), (700, 3_000))]
    assert all(
        np.array_equal(w, np.concatenate(p)) for w, p in zip(whole, zip(*parts, strict=True), strict=True)
    )
    assert 800 < len(whole[1]) < 1_000


def test_flags_override_parameters_in_a_file(tmp_path):
    (tmp_path / "p.toml").write_text("max_depth = 4\nlearning_rate = 0.2\nreg_lambda = 7.5\n")
    settings = Settings.load(params=str(tmp_path / "p.toml"), learning_rate=0.3)
    assert (settings.max_depth, settings.learning_rate, settings.reg_lambda, settings.rounds) == (
        4,
        0.3,
        7.5,
        300,
    )
    for content, says in (
        ("workers = 3", "only rounds, max_depth"),
        ("learning_rate = ", "cannot read parameter file"),
        ("learning_rate = 9", "setting learning_rate=9"),
    ):
        (tmp_path / "p.toml").write_text(content)
        with pytest.raises(ConfigError, match=says):
            Settings.load(params=str(tmp_path / "p.toml"))


def test_a_run_uses_the_parameter_file(synthetic, store, tmp_path, invoke_cli):
    (tmp_path / "p.toml").write_text("max_depth = 3\nrounds = 4\nmin_child_weight = 9.0\n")
    args = (
        "--source",
        synthetic,
        "--store",
        store,
        "--workers",
        2,
        "--params",
        tmp_path / "p.toml",
        "--json",
    )
    version = parse_summary(run_toytip("run", *args))["model"]["version"]
    config = parse_summary(invoke_cli("version", "show", version, "--store", store, "--json"))["tables"][
        "models"
    ]["config"]
    assert (config["max_depth"], config["rounds"], config["min_child_weight"], config["learning_rate"]) == (
        3,
        4,
        9.0,
        0.1,
    )


def test_impossible_tuning_is_rejected(client, store, tmp_path):
    with pytest.raises(
        ConfigError, match="cannot make 3 folds: the training and validation periods have only 3 months"
    ):
        tune(client, store, tmp_path / "s.db", folds=3)
    (tmp_path / "no.db").write_text("nothing of the kind" * 100)
    with pytest.raises(ConfigError, match=r"cannot open the study .*no.db: it is not an Optuna study"):
        tune(client, store, tmp_path / "no.db")
    months = parse_months("2023-01:2023-06")
    split = splits.plan_split(months, None, None, "2023-04:2023-06")
    assert [str(m) for m in pipeline_tune.make_time_folds(months, split, 2).months] == [
        "2023-01",
        "2023-02",
        "2023-03",
    ]
