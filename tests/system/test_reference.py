"""The generated reference is up to date, and covers the code."""

import inspect
import json
import re
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jsonschema
import pytest
from pydantic.fields import FieldInfo

from docs import generate
from docs.generate import __main__ as generator
from docs.generate import commands, json_schema, pages
from docs.generate.json_schema import RESULTS
from docs.generate.tables import READABLE_TABLES
from tests.support.runs import parse_summary
from toytip import errors
from toytip.cli.command import EXIT_CODES
from toytip.config import Settings
from toytip.core import glossary
from toytip.core.jsonable import FLATTEN, to_json
from toytip.core.months import Month
from toytip.datasets.tlc.rides import AVAILABILITY_DESCRIPTIONS
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.errors import ConfigError, SchemaError
from toytip.evaluation.metrics import compute_metrics
from toytip.evaluation.tally import Tally

ROOT = Path(__file__).parents[2]
COMMANDS = dict(commands.commands())


@pytest.fixture(scope="module")
def files():
    return generate.generated_files()


def test_the_reference_is_up_to_date():
    assert generate.outdated() == [], "run `make reference`"


def test_outdated_files_are_listed(tmp_path, files):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert generate.outdated(tmp_path) == []
    (tmp_path / "settings.md").write_text("old")
    (tmp_path / "surplus.md").write_text("not generated any more")
    (tmp_path / "schemas" / "run.json").unlink()
    assert generate.outdated(tmp_path) == ["schemas/run.json", "settings.md", "surplus.md"]


def test_a_file_that_was_not_generated_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(generator, "FOLDER", tmp_path / "reference")
    monkeypatch.setattr(generator, "outdated", lambda: generate.outdated(tmp_path / "reference"))
    monkeypatch.setattr(generator, "PAGE", tmp_path / "serving.md")
    monkeypatch.setattr(generator, "BENCHMARK_PAGE", tmp_path / "benchmark.html")
    monkeypatch.setattr(generator, "pages_with_results", dict)
    monkeypatch.setattr(sys, "argv", ["generate"])
    page = tmp_path / "reference" / "by-hand.md"
    page.parent.mkdir()
    page.write_text("written by hand")
    with pytest.raises(SystemExit, match=r"not generated: docs/reference/by-hand\.md\. Delete"):
        generator.main()
    assert page.read_text() == "written by hand"
    assert generate.outdated(page.parent) == ["by-hand.md"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented_with_its_options(name, files):
    page = files["commands.md"]
    section = re.search(rf"^## toytip {name}$(.*?)(?=^## )", page, re.MULTILINE | re.DOTALL)[1]
    for example in commands.examples(COMMANDS[name]):
        assert f"\n{example}\n" in section
    for parameter in COMMANDS[name].params:
        if parameter.param_type_name == "option":
            assert re.search(rf"`{parameter.opts[0]}[ `]", section), parameter.opts
    shared = page.partition("## Common options")[2]
    for option in re.findall(r"`(--[a-z-]+)`", section.partition("[common options]")[2]):
        assert f"| `{option}" in shared


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_with_json_has_a_schema(name, files):
    has_json = any(parameter.name == "json_" for parameter in COMMANDS[name].params)
    assert (name in RESULTS) == has_json
    if has_json:
        schema = json.loads(files[f"schemas/{name.replace(' ', '-')}.json"])
        jsonschema.Draft202012Validator.check_schema(schema)
        assert f"## toytip {name}\n" in files["json.md"]


def result_types():
    """Return every object type of the results, once."""
    return sorted(
        {kind for result in RESULTS.values() for kind in json_schema.nested_objects(result)},
        key=lambda kind: kind.__name__,
    )


@pytest.mark.parametrize("kind", result_types())
def test_every_key_is_described(kind):
    assert [key.name for key in json_schema.members(kind) if not key.description] == []


def test_names_of_result_types_are_unique():
    names = [kind.__name__ for kind in result_types()]
    assert len(names) == len(set(names))


class Pair(NamedTuple):
    """A named tuple."""

    low: float
    """Lower bound."""
    high: float | None
    """Upper bound."""


@dataclass(frozen=True)
class Inner:
    """An inner object. This sentence is not part of its description."""

    mode: Literal["on", "off"]
    """A choice."""
    months: tuple[Month, ...]
    """Months."""


@dataclass(frozen=True)
class Outer:
    """An outer object."""

    inner: Inner = field(metadata=FLATTEN)
    """Its keys become keys of the outer object."""
    pairs: dict[str, Pair | None]
    """Pairs
    by name."""
    anything: Any
    """A value of any type."""
    ends: tuple[int, str]
    """Two values."""
    children: tuple["Outer", ...] = ()
    """Objects of the same type."""


def test_a_schema_follows_the_types(monkeypatch):
    monkeypatch.setitem(RESULTS, "outer", Outer)
    schema = json_schema.schema("outer")
    assert schema["properties"]["mode"] == {"description": "A choice.", "enum": ["on", "off"]}
    assert schema["properties"]["pairs"]["description"] == "Pairs by name."
    assert schema["$defs"]["Pair"]["properties"]["high"]["type"] == ["number", "null"]
    validator = jsonschema.Draft202012Validator(schema)
    value = Outer(Inner("on", (Month(2023, 1),)), {"a": Pair(0, None), "b": None}, {"x": [1]}, (1, "z"))
    record = to_json(value)
    validator.validate(record)
    for change in ({"mode": "maybe"}, {"extra": 1}, {"pairs": {"a": 1}}, {"ends": [1]}, {"months": [1]}):
        with pytest.raises(jsonschema.ValidationError):
            validator.validate({**record, **change})
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({name: item for name, item in record.items() if name != "ends"})


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (tuple[str, ...], "array of string"),
        (dict[str, int], "object of integer"),
        (tuple[str, int], "[string, integer]"),
        (dict[str, dict[str, tuple[Any, Any]]], "object of object of [any, any]"),
        (tuple[Pair | None, ...], "array of ([Pair](#pair) or null)"),
        (dict[str, Pair] | None, "object of [Pair](#pair) or null"),
        (dict[str, float | None], "object of (number or null)"),
    ],
)
def test_a_type_in_words(hint, text):
    assert json_schema.type_text(hint) == text


def test_a_type_without_a_json_form_is_an_error(monkeypatch):
    monkeypatch.setitem(RESULTS, "odd", dict[str, complex])
    with pytest.raises(TypeError, match="complex"):
        json_schema.schema("odd")


def check(command, output):
    """Validate the JSON of a command against its published schema."""
    file = ROOT / "docs" / "reference" / "schemas" / f"{command.replace(' ', '-')}.json"
    jsonschema.Draft202012Validator(json.loads(file.read_text())).validate(output)


def test_runs_follow_the_schema(two_runs):
    for result in two_runs[1]:
        check("run", result)


# The tests of the model registry validate the output of `toytip model`.
OUTPUTS = {
    "runs": (),
    "report": ("va",),
    "stage evaluate": ("--workers", 1),
    "version list": (),
    "version show": ("va",),
    "version diff": ("va", "vb"),
    "version lineage": ("va",),
    "version tag": (),
    "version rollback": ("vb",),
    "version verify": ("va",),
    "version gc": ("--dry-run",),
    "model list": (),
    "monitor": ("--dry-run",),
}


@pytest.mark.parametrize("command", OUTPUTS)
def test_the_output_follows_the_schema(command, two_runs, invoke_cli):
    done = invoke_cli(*command.split(), *OUTPUTS[command], "--store", two_runs[0], "--json")
    assert done.stdout, done.stderr
    check(command, json.loads(done.stdout))


def test_the_output_of_source_and_config_follows_the_schema(synthetic, tmp_path, invoke_cli):
    check("source check", parse_summary(invoke_cli("source", "check", synthetic, "--json")))
    check("config", parse_summary(invoke_cli("config", "--json")))
    certificates = invoke_cli("cluster", "create-certs", "--output-dir", tmp_path / "certs", "--json")
    check("cluster create-certs", parse_summary(certificates))


def test_every_setting_is_documented_with_its_variable(files):
    for name, setting in Settings.model_fields.items():
        cell = rf"\| `{name}`(<br>`--[a-z-]+`)?<br>`TOYTIP_{name.upper()}` \|"
        assert re.search(cell, files["settings.md"])
        assert setting.description.replace("|", "\\|") in files["settings.md"]


def test_a_setting_without_a_description_is_an_error():
    with pytest.raises(ConfigError, match="setting depth: it has no description"):
        commands.setting_row("depth", FieldInfo(default=6))


def test_options_and_settings_have_the_same_defaults():
    for _, command in commands.commands():
        for parameter in command.params:
            setting = Settings.model_fields.get(parameter.name)
            text, default = commands.split_help(parameter)
            selects_a_model = text.startswith("Segment that the model")  # and not the trips to train on
            if setting is not None and setting.default not in (None, False) and not selects_a_model:
                assert default == str(setting.default), parameter.opts


def test_every_column_is_documented(files):
    for table in READABLE_TABLES:
        section = re.search(rf"^## {table.name}$(.*?)(?=^## )", files["tables.md"], re.MULTILINE | re.DOTALL)[
            1
        ]
        assert table.description
        for column in table.columns:
            assert f"| `{column.name}` | `{column.dtype}`" in section
            assert glossary.column_doc(table.name, column.name, TLC.column_docs).text in section


def test_a_column_without_a_description_is_an_error():
    with pytest.raises(SchemaError, match="cannot describe column weather of features: it is not documented"):
        glossary.column_doc("features", "weather", TLC.column_docs)


def test_the_glossary_has_no_surplus_entries():
    columns = {column.name for table in READABLE_TABLES for column in table.columns}
    described = {*glossary.COLUMN_DOCS, *TLC.column_docs, *(name for _, name in glossary.TABLE_COLUMN_DOCS)}
    assert described == columns | set(TLC.target_rates)
    assert list(glossary.METRIC_DOCS) == [*asdict(compute_metrics(Tally.empty())), "f1_always_positive"]


def test_availability_is_consistent():
    """The glossary agrees with the declarations, and no feature is known before its inputs."""
    order = list(AVAILABILITY_DESCRIPTIONS)
    assert order == [*TLC.moment_names, "settled"]
    for item in (*TLC.features, *TLC.target_rates.values()):
        assert TLC.column_docs[item.name].available_at == item.available_at
        needed = max(order.index(TLC.column_docs[name].available_at) for name in item.needs)
        assert order.index(item.available_at) >= needed, item.name


def test_every_reason_and_error_is_documented(files):
    for reason in TLC.reject_reasons:
        assert f"| `{reason}` |" in files["tables.md"]
    for name, kind in vars(errors).items():
        if inspect.isclass(kind):
            assert f"| `{name}` |" in files["errors.md"]


def test_exit_codes_are_documented(files):
    for number in EXIT_CODES:
        assert f"| `{number}` |" in files["errors.md"]


def test_the_python_api_has_signatures_and_docstrings():
    from toytip.store.store import Store

    text = pages.api_section(Store)
    assert text.startswith("## Store\n\n")
    for name, member in vars(Store).items():
        if not name.startswith("_") and inspect.isfunction(member):
            assert f"### Store.{name}\n\n```python\n{name}(" in text
            assert inspect.getdoc(member).splitlines()[0] in text
    assert "(self" not in text
    assert ": '" not in text  # annotations as they were written
    assert pages.api_section(pages.table).startswith("## table\n\n```python\ntable(head: Iterable[str], ")
