"""Months, splits, settings: small values that must be right, and errors that say what to do."""

import pickle

import pytest

from toytip import errors
from toytip.config import Settings
from toytip.core.months import Month, parse_months
from toytip.core.splits import TimeRange, overlaps, plan_split
from toytip.errors import ConfigError

YEAR = parse_months("2023-01:2023-12")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2023-13", "not a month"),
        ("January", "not a month"),
        ("2023-01:", "cannot read months '2023-01:': '' is not a month"),
        ("2023-01,2023-1x", "cannot read months '2023-01,2023-1x': '2023-1x' is not a month"),
        ("", "not a month"),
        ("2023-05:2023-02", "ends before it starts"),
        ("2023-01,2023-01", "twice"),
        ("2023-01:2023-03,2023-02", "twice"),
    ],
)
def test_bad_months(text, words):
    with pytest.raises(ConfigError, match=words) as caught:
        parse_months(text)
    assert ("2023-01:2023-12" in caught.value.hint) is ("not a month" in words)


def test_the_default_split():
    split = plan_split(YEAR)
    assert split.train == TimeRange("2023-01-01T00:00:00", "2023-11-01T00:00:00")
    assert split.validation == TimeRange("2023-11-01T00:00:00", "2023-12-01T00:00:00")
    assert split.test == TimeRange("2023-12-01T00:00:00", "2024-01-01T00:00:00")


def test_two_months_are_split_by_day():
    split = plan_split(YEAR[:2])
    assert split.train == TimeRange("2023-01-01T00:00:00", "2023-02-05T00:00:00")
    assert split.validation == TimeRange("2023-02-05T00:00:00", "2023-02-17T00:00:00")
    assert split.test == TimeRange("2023-02-17T00:00:00", "2023-03-01T00:00:00")


def test_no_validation():
    assert plan_split(YEAR, validation="none").train.stop == "2023-12-01T00:00:00"
    assert plan_split(YEAR[:1], validation="none").validation is None
    assert plan_split(YEAR[:2], validation="None") == plan_split(YEAR[:2], validation="none")


def test_asked_for():
    split = plan_split(YEAR, train="2023-02:2023-04", validation="2023-06", test="2023-08:2023-09")
    assert split.train == TimeRange("2023-02-01T00:00:00", "2023-05-01T00:00:00")
    assert overlaps(Month(2023, 9), split.test)
    assert not overlaps(Month(2023, 10), split.test)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"test": "2024-01"}, "is not among them"),
        ({"test": "2023-01"}, "no month is left for training"),
        ({"validation": "2023-01"}, "no month is left for training"),
        ({"validation": "2023-12", "test": "2023-12"}, "more than one"),
        ({"train": "2023-01:2023-11"}, "more than one"),
        ({"train": "2023-12", "test": "2023-06"}, "before"),
        ({"train": "2023-01,2023-03"}, "must be consecutive"),
        ({"train": "2023-01", "validation": "2023-12", "test": "2023-11"}, "before"),
    ],
)
def test_splits_that_make_no_sense(asked, words):
    with pytest.raises(ConfigError, match=words):
        plan_split(YEAR, **asked)


@pytest.mark.parametrize(("count", "by_day"), [(1, True), (2, True), (3, False), (12, False)])
def test_fewer_than_three_months_are_split_by_day(count, by_day):
    assert plan_split(YEAR[:count]).is_by_day is by_day


def test_settings_come_in_their_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toytip.toml").write_text("rounds = 10\nlearning_rate = 0.3\nmax_depth = 3\nworkers = 5\n")
    (tmp_path / ".env").write_text("TOYTIP_ROUNDS=20\nTOYTIP_LEARNING_RATE=0.4\nTOYTIP_MAX_DEPTH=4\n")
    monkeypatch.setenv("TOYTIP_ROUNDS", "30")
    monkeypatch.setenv("TOYTIP_LEARNING_RATE", "0.5")
    settings = Settings.load(rounds=40, learning_rate=None)
    assert (settings.rounds, settings.learning_rate, settings.max_depth, settings.workers) == (40, 0.5, 4, 5)
    assert settings.early_stopping_rounds == 20


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"rounds": 0}, "rounds=0"),
        ({"learning_rate": 2}, "learning_rate=2"),
        ({"env": "test"}, "'dev' or 'prod'"),
        ({"gate": "maybe"}, "'on', 'dry-run' or 'off'"),
        ({"version_id": "../escape"}, "version_id="),
        ({"version_id": "001"}, "version_id="),
        ({"workers": "many"}, "workers='many'"),
    ],
)
def test_settings_that_make_no_sense(flags, words):
    with pytest.raises(ConfigError) as caught:
        Settings.load(**flags)
    assert words in str(caught.value)


def test_a_broken_toml_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toytip.toml").write_text("rounds = = 3")
    with pytest.raises(ConfigError, match=r"toytip\.toml"):
        Settings.load()


def test_errors_survive_pickling():
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.ToytipError)
    ]
    assert len(kinds) >= 7
    for kind in kinds:
        error = pickle.loads(pickle.dumps(kind("what, where, what to do")))  # noqa: S301
        assert (type(error), str(error)) == (kind, "what, where, what to do")
