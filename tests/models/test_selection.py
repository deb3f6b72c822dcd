"""Registered models per taxi type and segment, and the options that select one of them."""

import json
import shutil
from dataclasses import replace

import pytest

from tests.support.models import raw_month, register, train_model
from tests.support.runs import require_error
from toytip.config import Settings
from toytip.errors import RegistryError, SchemaError
from toytip.models import resolve, selection
from toytip.models.registry import open_registry
from toytip.models.selection import ModelChoice, load_models, select_model
from toytip.pipeline import promote

GREEN, YELLOW, CARD = ("green", "all", "v-green"), ("yellow", "all", "v-yellow"), ("green", "card", "v-card")
PICKUP = {"green": "lpep_pickup_datetime", "yellow": "tpep_pickup_datetime"}


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Stores with the registered champions that their names list."""
    folder = tmp_path_factory.mktemp("stores")
    # MLflow needs seconds to create a database, but not to use the copy of a database.
    register(folder / "green", train_model(*GREEN))
    for name, models in {
        "two taxis": [YELLOW],
        "two segments": [CARD],
        "all": [YELLOW, CARD],
    }.items():
        shutil.copytree(folder / "green", folder / name)
        for model in models:
            register(folder / name, train_model(*model))
    register(folder / "card", train_model(*CARD))
    return folder


def settings_of(store):
    return Settings.load(store=str(store))


def test_segments_have_champions_of_their_own(stores):
    settings = settings_of(stores / "two segments")
    for segment, version in (("all", "v-green"), ("card", "v-card")):
        registry = open_registry(settings, "green", segment)
        assert registry.name == f"toytip-dev-green-{segment}"
        assert [(model.number, model.run_version) for model in registry.list_models()] == [(1, version)]
        assert registry.champion().run_version == version


@pytest.mark.parametrize("segment", ["all", "card"])
def test_the_gate_compares_a_model_with_the_champion_of_its_segment(segment, stores):
    """A model of card trips does not become the champion of all trips."""
    settings = Settings.load(store=str(stores / "all"), gate="on")
    challenger = train_model("green", segment, "v-new")
    match = promote.match_champion(open_registry(settings, "green", segment), challenger)
    assert match.registered.run_version == {"all": "v-green", "card": "v-card"}[segment]
    assert match.model.encoding.segment == segment


@pytest.mark.parametrize(
    ("store", "taxi", "segment", "expected"),
    [
        ("green", None, None, "v-green"),
        ("card", None, None, "v-card"),
        ("two taxis", "yellow", None, "v-yellow"),
        ("two segments", None, "card", "v-card"),
        ("all", "green", "all", "v-green"),
        ("all", "yellow", None, "v-yellow"),
        ("two taxis", None, None, "Set --taxi."),
        ("two segments", None, None, "Set --segment."),
        ("all", None, None, "Set --taxi and --segment."),
        ("all", "green", None, "Set --segment."),
        ("all", "yellow", "card", "promote one with `toytip model promote`."),
    ],
)
def test_a_name_that_several_models_have_needs_an_option(store, taxi, segment, expected, stores):
    """Commands that name a model, and commands that take the champion, have the same rule."""
    settings = settings_of(stores / store)
    for find in (
        lambda: resolve.load_model(settings, "champion", taxi, segment=segment),
        lambda: resolve.load_champion_or_model(settings, "champion", taxi, segment),
        *(
            [lambda: resolve.load_champion_or_model(settings, None, taxi, segment)]
            if "promote" not in expected
            else []
        ),
    ):
        if expected.startswith("v-"):
            assert find().version == expected
            continue
        with pytest.raises(RegistryError) as caught:
            find()
        assert caught.value.hint.endswith(expected)


@pytest.mark.parametrize(
    ("store", "choice", "expected"),
    [
        ("green", {}, {"green": "v-green"}),
        ("card", {}, {"green": "v-card"}),
        ("two taxis", {}, {"green": "v-green", "yellow": "v-yellow"}),
        ("two taxis", {"taxi": "yellow"}, {"yellow": "v-yellow"}),
        ("two segments", {}, {"green": "v-green"}),
        ("two segments", {"name": "champion"}, {"green": "v-green"}),
        ("two segments", {"segment": "card"}, {"green": "v-card"}),
        ("all", {}, {"green": "v-green", "yellow": "v-yellow"}),
        ("all", {"name": "v-card"}, {"green": "v-card"}),
        ("two segments", {"name": "1"}, "Set --segment."),
        ("two taxis", {"name": "1"}, "Set --taxi."),
        ("two taxis", {"name": "1", "taxi": "yellow"}, {"yellow": "v-yellow"}),
        ("two segments", {"name": "7"}, "List the registered models with `toytip model list`."),
    ],
)
def test_scoring_takes_the_champion_of_each_taxi_type(store, choice, expected, stores):
    settings = settings_of(stores / store)
    if isinstance(expected, str):
        with pytest.raises(RegistryError) as caught:
            load_models(settings, ModelChoice(**choice))
        assert caught.value.hint == expected
        return
    models = load_models(settings, ModelChoice(**choice))
    assert {taxi: model.version for taxi, model in models.items()} == expected
    again = load_models(settings, ModelChoice(**choice), models)
    assert all(again[taxi] is model for taxi, model in models.items())


@pytest.mark.parametrize(
    ("taxis", "columns", "expected"),
    [
        (("green", "yellow"), ["VendorID", "LPEP_pickup_datetime"], "green"),
        (("green", "yellow"), ["tpep_pickup_datetime"], "yellow"),
        (("green",), ["pickup_at"], "green"),
        (("green", "yellow"), ["pickup_at"], "cannot select a model: green and yellow taxis have one"),
        (("green",), ["tpep_pickup_datetime"], "cannot score trips of yellow taxis"),
        (("green",), ["tpep_pickup_datetime", "lpep_pickup_datetime"], "green"),
        (
            ("green", "yellow"),
            ["tpep_pickup_datetime", "lpep_pickup_datetime"],
            "the trips have the columns of yellow and green taxis",
        ),
    ],
)
def test_the_pickup_column_selects_the_model(taxis, columns, expected):
    models = {taxi: train_model(taxi) for taxi in taxis}
    if expected in models:
        assert select_model(models, columns) is models[expected]
        return
    with pytest.raises(SchemaError, match=expected) as caught:
        select_model(models, columns)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("taxi", "options", "expected"),
    [
        ("green", (), "v-green"),
        ("yellow", (), "v-yellow"),
        ("green", ("--segment", "card"), "v-card"),
        ("green", ("--taxi", "yellow"), "error: cannot score trips of green taxis"),
        ("yellow", ("--segment", "card"), "error: cannot find a model for yellow taxis of segment card"),
        ("yellow", ("--model", "v-card"), "error: cannot find model v-card for yellow taxis"),
        (None, (), "hint: Name the column with the times "),
        (None, ("--taxi", "yellow"), "v-yellow"),
    ],
)
def test_score_uses_the_champion_of_the_taxi_type_of_the_file(
    taxi, options, expected, stores, tmp_path, invoke_cli
):
    import pyarrow.parquet as pq

    trips = raw_month(taxi or "yellow").slice(0, 20)
    if taxi is None:
        trips = trips.rename_columns(
            [{"tpep_pickup_datetime": "pickup_at"}.get(name, name) for name in trips.column_names]
        )
    pq.write_table(trips, tmp_path / "trips.parquet")
    output = ("--output", tmp_path / "scores.csv", "--json")
    done = invoke_cli("score", tmp_path / "trips.parquet", "--store", stores / "all", *output, *options)
    if expected.startswith("v-"):
        assert json.loads(done.stdout)["model_version"] == expected
    else:
        assert done.returncode == 1
        assert expected in done.stderr


@pytest.mark.parametrize(
    "command",
    ["monitor", "model show", "model compare champion 1", "model promote champion", "model rollback"],
)
def test_the_option_that_an_error_names_exists(command, stores, invoke_cli):
    """With the option, the command uses the champion of the taxi type and segment."""
    words = (*command.split(), "--store", stores / "all")
    require_error(invoke_cli(*words), "cannot select model champion", "Set --taxi and --segment.")
    chosen = invoke_cli(*words, "--taxi", "green", "--segment", "card")
    assert "cannot select model" not in chosen.stderr
    assert "No such option" not in chosen.stderr


def test_a_model_that_cannot_be_loaded_here_is_not_selected(monkeypatch):
    """A server then keeps its current model."""
    broken = replace(train_model("green"), booster=b"")
    candidates = {"green": selection.Candidate("v9", lambda: broken)}
    monkeypatch.setattr(selection, "_find_candidates", lambda *_: candidates)
    with pytest.raises(RegistryError, match="cannot load the model: its booster is incomplete"):
        load_models(Settings.load(), ModelChoice())
