"""Numbers with nouns in messages: one trip is not `1 trips`."""

import ast
import re
from pathlib import Path

import pytest

import toytip

# A plural noun after a number. `rows/s` is a unit.
PLURAL_NOUN = re.compile(
    r" (other |more |test |training |later )?(trips|rows|files|months|workers|models|rounds|partitions|versions|runs"
    r"|alerts|predictions|features|trials|folds|days|values|errors|warnings|threads|cores|hosts)\b(?!/)"
)
# Numbers that are limits or sizes, and so never 1.
LIMITS = re.compile(
    r"[A-Z_]{3,}|limit|rows_per_month|partition_rows|max_rows|max_trips|MAX|min_|window_months|hosts$"
)


def numbers_with_plural_nouns(source):
    """Yield each number in an f-string that a plural noun follows, except `3 of 4 trips`."""
    for text in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.JoinedStr)):
        before = ""
        for part, following in zip(text.values, [*text.values[1:], ast.Constant("")], strict=True):
            if isinstance(part, ast.FormattedValue):
                is_number = part.format_spec is not None or "len(" in ast.unparse(part.value)
                noun = following.value if isinstance(following, ast.Constant) else ""
                number = ast.unparse(part.value)
                if (
                    is_number
                    and PLURAL_NOUN.match(noun)
                    and not re.search(r"\b(of|of the|all) $", before)
                    and not LIMITS.search(number)
                ):
                    yield f"{number}{noun}"
            before = part.value if isinstance(part, ast.Constant) else ""


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('f"{count:,} trips scored"', ["count trips scored"]),
        ('f"{len(files)} files"', ["len(files) files"]),
        ('f"{kept:,} of {read:,} trips kept"', []),
        ("f\"{plural(count, 'trip')} scored\"", []),
        ('f"{rate:,.0f} rows/s"', []),
        ('f"at most {MAX_LINE_BYTES:,} rows"', []),
    ],
)
def test_the_search_finds_numbers_with_plural_nouns(source, found):
    assert list(numbers_with_plural_nouns(source)) == found


def test_a_number_of_things_has_the_form_of_its_noun():
    """`toytip.core.text.plural` writes `1 trip` and `2 trips`."""
    files = Path(toytip.__file__).parent.rglob("*.py")
    found = {file.name: list(numbers_with_plural_nouns(file.read_text())) for file in files}
    assert {name: texts for name, texts in found.items() if texts} == {}
