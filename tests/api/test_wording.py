"""Errors of the Python API name arguments, and errors of the commands name options."""

import inspect
import traceback

import pytest

import toytip
from tests.support.models import register, train_model
from toytip import errors
from toytip.api.wording import to_arguments
from toytip.config import Settings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Set --taxi and --segment.", "Set `taxi` and `segment`."),
        (
            "Set --months, for example --months 2023-01:2023-12.",
            'Set `months`, for example `months="2023-01:2023-12"`.',
        ),
        (
            "Try --partition-rows 12500, fewer --workers, or a larger --memory-limit.",
            "Try `partition_rows=12500`, fewer `workers`, or a larger `memory_limit`.",
        ),
        ("Use --store s3://bucket/prefix.", 'Use `store="s3://bucket/prefix"`.'),
        ("for example --source 'DIR/green_*.parquet'.", 'for example `source="DIR/green_*.parquet"`.'),
        ("cannot use --as-of '2023': it is not a time", 'cannot use `as_of="2023"`: it is not a time'),
        ("Run `toytip stage infer --model v1`.", "Run `toytip stage infer --model v1`."),
        ("a well-known zone--pair", "a well-known zone--pair"),
    ],
)
def test_options_become_arguments(text, expected):
    assert to_arguments(text) == expected
    assert to_arguments(expected) == expected


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with champions of both taxi types, without published versions."""
    folder = tmp_path_factory.mktemp("champions")
    register(folder, train_model("green", version="v-green"))
    register(folder, train_model("yellow", version="v-yellow"))
    return folder


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        (lambda store: toytip.open_store(store).model("champion"), "Set `taxi`."),
        (lambda store: toytip.open_store(store).monitoring(), "Set `taxi`."),
        (lambda store: toytip.monitor(store=store), "Set `taxi`."),
        (lambda store: toytip.run(store, store=store, months="2023-13"), ""),
        (
            lambda _: toytip.open_store("ftp://x").versions(),
            "Set `store` to a folder or to s3://bucket/prefix.",
        ),
    ],
)
def test_functions_raise_errors_that_name_arguments(call, hint, store):
    with pytest.raises(errors.ToytipError) as caught:
        call(store)
    assert hint in caught.value.hint
    text = "".join(traceback.format_exception_only(caught.value))
    assert " --" not in text
    assert f"hint: {caught.value.hint}" in text


def test_the_arguments_that_the_hints_name_exist(store):
    opened = toytip.open_store(store)
    assert opened.model("champion", taxi="green", segment="all").version == "v-green"
    for call in (opened.monitoring, toytip.monitor):
        assert {"taxi", "segment"} <= {*inspect.signature(call).parameters}
    assert "taxi" not in Settings.model_fields
