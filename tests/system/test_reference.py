"""The generated reference: all of the code is in it, and it is what the code says now."""

import inspect
import re
from dataclasses import asdict
from pathlib import Path

import pytest
from pydantic.fields import FieldInfo

from docs import generate
from docs.generate import commands, told
from toytip import errors
from toytip.cli import command as cli_command
from toytip.cli import json_keys, monitor
from toytip.config import Settings
from toytip.core import glossary
from toytip.errors import ConfigError, SchemaError
from toytip.evaluation.metrics import compute_metrics
from toytip.evaluation.tally import Tally
from toytip.stages import catalog, clean, featurize, zone_rates

ROOT = Path(__file__).parents[2]
COMMANDS = dict(commands.commands())


@pytest.fixture(scope="module")
def pages():
    return generate.pages()


def test_it_is_what_the_code_says():
    assert generate.stale() == [], "run `make reference`"


def test_what_is_stale_is_named(tmp_path, pages):
    for name, text in pages.items():
        (tmp_path / f"{name}.md").write_text(text)
    assert generate.stale(tmp_path) == []
    (tmp_path / "settings.md").write_text("old")
    (tmp_path / "gone.md").write_text("what the code has no longer")
    assert generate.stale(tmp_path) == ["gone", "settings"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_with_all_its_options(name, pages):
    page = pages["commands"]
    section = re.search(rf"^## toytip {name}$(.*?)(?=^## )", page, re.MULTILINE | re.DOTALL)[1]
    for example in commands.examples(COMMANDS[name]):
        assert f"\n{example}\n" in section
    for parameter in COMMANDS[name].params:
        if parameter.param_type_name == "option" and parameter.name not in ("json_", "debug"):
            assert re.search(rf"`{parameter.opts[0]}[ `]", section), parameter.opts
    shared = page.partition("## Common options")[2]
    for option in re.findall(
        r"`(--[a-z-]+)`", section.partition("[Common options]")[2].partition("`--json`")[0]
    ):
        assert f"| `{option}" in shared


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_that_prints_json_has_its_keys(name):
    prints = any(parameter.name == "json_" for parameter in COMMANDS[name].params)
    assert (name in json_keys.JSON_KEYS) == (prints and name != "config")  # whose keys are the settings


def test_every_key_is_in_the_code():
    """One that nothing prints any more would stand there for ever."""
    package = ROOT / "toytip"
    code = "".join(path.read_text() for path in package.rglob("*.py") if path.name != "keys.py")
    for name, found in json_keys.JSON_KEYS.items():
        for key in found:
            assert re.search(rf'"{key}"|\b{key}:', code), (name, key)


def test_every_setting_is_there_with_its_variable(pages):
    for name, field in Settings.model_fields.items():
        cell = rf"\| `{name}`(<br>`--[a-z-]+`)?<br>`TOYTIP_{name.upper()}` \|"
        assert re.search(cell, pages["settings"])
        assert field.description.replace("|", "\\|") in pages["settings"]


def test_a_setting_that_says_nothing_of_itself_is_refused():
    with pytest.raises(ConfigError, match="setting depth has no description"):
        commands.setting("depth", FieldInfo(default=6))


def test_options_and_settings_have_the_same_defaults():
    """An option's help tells its default in words; where the setting has a plain one, they agree."""
    for _, command in commands.commands():
        for parameter in filter(commands.is_common, command.params):
            _, told = commands.parted(parameter)
            default = Settings.model_fields[parameter.name].default
            if default not in (None, False):
                assert told == str(default), parameter.opts


def test_every_column_is_there_with_what_it_means(pages):
    for table in catalog.READABLE_TABLES.values():
        section = re.search(rf"^## {table.name}$(.*?)(?=^## )", pages["tables"], re.MULTILINE | re.DOTALL)[1]
        assert table.description
        for column in table.columns:
            assert f"| `{column.name}` | `{column.dtype}`" in section
            assert glossary.column_doc(table.name, column.name).text in section


def test_a_column_that_means_nothing_is_refused():
    with pytest.raises(SchemaError, match="column weather of features means nothing yet"):
        glossary.column_doc("features", "weather")


def test_the_glossary_has_no_more_than_there_is():
    columns = {column.name for table in catalog.READABLE_TABLES.values() for column in table.columns}
    assert {*glossary.COLUMN_DOCS, *(name for _, name in glossary.TABLE_COLUMN_DOCS)} == columns | set(
        zone_rates.ZONE_RATES_BY_NAME
    )
    assert list(glossary.METRIC_DOCS) == [*asdict(compute_metrics(Tally.empty())), "f1_always_positive"]


def test_moments_are_told_alike():
    """The glossary's moments are those of the declarations, and no feature is known before what it is made of."""
    order = list(glossary.AVAILABILITY_DESCRIPTIONS)
    assert order == [*featurize.AVAILABILITY_TIMES, "settled"]
    for item in (*featurize.FEATURES, *zone_rates.ZONE_RATES):
        assert glossary.COLUMN_DOCS[item.name].available_at == item.available_at
        needed = max(order.index(glossary.COLUMN_DOCS[name].available_at) for name in item.needs)
        assert order.index(item.available_at) >= needed, item.name


def test_every_reason_and_error_is_there(pages):
    for reason in clean.REJECT_REASONS:
        assert f"| `{reason}` |" in pages["tables"]
    for name, kind in vars(errors).items():
        if inspect.isclass(kind):
            assert f"| `{name}` |" in pages["errors"]


def test_exit_codes_are_those_of_the_code(pages):
    assert set(json_keys.EXIT_CODES) == {0, 1, 2, monitor.EXIT_ALERT, cli_command.EXIT_INTERRUPTED}
    for number in json_keys.EXIT_CODES:
        assert f"| `{number}` |" in pages["errors"]


def test_python_is_told_by_signature_and_docstring():
    from toytip.store.store import Store

    text = told.of_object(Store)
    assert text.startswith("## Store\n\n")
    for name, member in vars(Store).items():
        if not name.startswith("_") and inspect.isfunction(member):
            assert f"### Store.{name}\n\n```python\n{name}(" in text
            assert inspect.getdoc(member).splitlines()[0] in text
    assert "(self" not in text
    assert ": '" not in text  # annotations as they were written
    assert told.of_object(told.table).startswith("## table\n\n```python\ntable(head: Iterable[str], ")
