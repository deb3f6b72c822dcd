"""The language check: sentences that it reports, and sentences that it leaves alone."""

import textwrap

import pytest

from tests.support import language

BAD = [
    ("old-word", "The model is compared anew."),
    ("old-word", "Whoever reads the table adds the rows."),
    ("go-on", "This command goes on from the checkpoint."),
    ("go-on", "Training went on without the lost worker."),
    ("take-over", "The run takes them over."),
    ("take-over", "12 of 13 files were taken over."),
    ("beside", "Each metric has its baseline beside it."),
    ("told", "Drift is told from histograms."),
    ("told", "The page tells all of a run."),
    ("is-there", "A scheduler that is there is used."),
    ("is-there", "The zone table is already there."),
    ("is-there", "`trips.parquet` is there after the run."),
    ("what-noun", "Metrics show what the model has learned."),
    ("what-noun", "It reads what\nis new since the last run."),
    ("fronted", "Of three ranks, one waits."),
    ("fronted", "**What** a run costs depends on the months."),
    ("fronted", "The same holds for card trips."),
    ("a-for-per", "The TLC publishes a file a month."),
    ("a-for-per", "Memory: 80 bytes a row."),
    ("a-for-per", "The default is one a core."),
    ("is-no", "A run without labels is no result."),
    ("is-no", "These files are no tables."),
    ("stand-lie-lean", "The settings stand in `toytip.toml`."),
    ("stand-lie-lean", "The pickup lies outside the month."),
    ("stand-lie-lean", "The model leans on the payment type."),
    ("semicolon", "The tag is removed; the version stays."),
    ("long", "The run reads " + "one row and " * 12 + "stops."),
]

GOOD = [
    "Running the same command again resumes from the completed files. For the same reason, training can resume.",
    "What is a partition? It is a range of rows of one source file.",
    "Which months are there? See [the data](data.md).",
    "There is no limit on the number of months. There are files for each month.",
    "The report lists the values that are no longer in use.",
    "Standard output stays empty. The client and the supplier are outliers, and NaN is a stand-in.",
    "PSI stands for population stability index.",
    "Run the command where the files are stored, or on the worker node.",
    "toytip writes one file per month and polls the event loop 50 times a second.",
    "It gives each row a value and every file a month.",
    "Besides, flags go on the command line.",
    "Of course, the order of the months does not matter.",
    "It is symmetric (Lewis, 1994; Siddiqi, 2006).",
    "Decide what to do with rejected rows.",
    "Several spaces and `a; b` or `what it is` in a code span are fine, e.g. `goes on`.",
    "See [this page](https://example.org/what_is;there) and <https://example.org/a;b>.",
    "Use an&nbsp;entity &amp; a <b title='a; b'>tag</b>.",
    "A sentence of twenty words is followed by another one. " + "It has more words than this. " * 9,
    "### What a run produces",
    "- [What a run produces](run.md)",
    "| column | meaning |\n| --- | --- |\n| 1; 2 | 3; 4 |\n| `x; y` | the pickup zone |",
    "Run it:\n\n    import sys; sys.exit(1)\n\nThen read the output.",
    "- An item:\n\n      what it is; code\n\n- Another item\n  that continues.",
    "```sh\ntoytip run; echo what it is\n```",
    "~~~\nit goes on; beside\n~~~",
    ">>> a = 1; b = 2\n1; 2\n\nDone.",
    "<!-- generated; what it is -->",
    "[link]: https://example.org/a;b",
    "::: {note} a; b\nRead this first.\n:::",
]


def patterns(findings):
    return [finding.pattern for finding in findings]


@pytest.mark.parametrize(("pattern", "sentence"), BAD)
def test_a_sentence_that_breaks_a_rule(pattern, sentence):
    assert patterns(language.check_page("page.md", sentence)) == [pattern]


@pytest.mark.parametrize("text", GOOD)
def test_a_page_that_breaks_no_rule(text):
    assert list(language.check_page("page.md", text)) == []


def test_every_pattern_has_an_example():
    assert {pattern for pattern, _ in BAD} == {pattern.name for pattern in language.PATTERNS}
    assert all(language.HINTS[pattern] for pattern, _ in BAD)


@pytest.mark.parametrize(("pattern", "sentence"), BAD)
def test_a_module_with_the_sentence(pattern, sentence):
    sentence = " ".join(sentence.replace("*", "").split())
    for module in (
        f'"""{sentence}"""\n',
        f"value = 1  # {sentence}\n",
        f"def read(path: str) -> None:\n    raise ValueError({sentence!r})\n",
        f'help = f"{sentence} {{value}}"\n',
    ):
        assert patterns(language.check_module("toytip/module.py", module)) == [pattern]


def test_headings():
    assert list(language.check_page("page.md", "## What you need")) == []
    assert patterns(language.check_page("page.md", "## What stays")) == ["fronted"]
    assert patterns(language.check_page("page.md", "## What a run writes; goes on")) == ["go-on", "semicolon"]


def test_the_line_of_a_finding():
    page = "# Title\n\nA good sentence. Another one,\nthat goes\non. A third.\n"
    assert [(each.line, each.text) for each in language.check_page("page.md", page)] == [
        (4, "Another one, that goes on.")
    ]
    module = '"""Title.\n\nA line.\n\nArgs:\n    path: A path.\n    rows: Rows; a number.\n"""\n# One; two.\n'
    assert [(each.line, each.text) for each in language.check_module("m.py", module)] == [
        (7, "rows: Rows; a number."),
        (9, "One; two."),
    ]


def test_placeholders_are_words():
    module = "message = f'{path} is no table, as {other:>3} says'\ntemplate = '{} is no table'\n"
    assert patterns(language.check_module("m.py", module)) == ["is-no", "is-no"]


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("told = 1", ["told"]),
        ("TOLD: int = 1", ["TOLD"]),
        ("def read(given, *, shown=1): ...", ["given", "shown"]),
        ("class Place: ...", ["Place"]),
        ("self.seen_ = 1", ["seen_"]),
        ("run(made=1)", ["made"]),
        ("import a as there", ["there"]),
        ("rows = [each for each in trips]", ["each"]),
        ("match row:\n    case {'x': some}: ...", ["some"]),
        ("print(found, self.given)", []),
        ("foundation = placeholder = someone = 1", []),
        ("text = 'found there'", []),
    ],
)
def test_filler_names(code, names):
    findings = language.check_module("toytip/module.py", f"{code}\n")
    assert sorted(finding.text for finding in findings) == names
    assert set(patterns(findings)) <= {"filler-name"}


@pytest.mark.parametrize(
    ("hint", "valid"),
    [
        ('"Set --taxi."', True),
        ('f"`{command}` lists them."', True),
        ('f"Did you mean {name}?"', True),
        ('""', True),
        ('"set --taxi."', False),
        ('f"Set --taxi, or {name} alone"', False),
    ],
)
def test_the_style_of_hints(hint, valid):
    findings = patterns(language.check_module("m.py", f"raise ConfigError('no taxi', hint={hint})"))
    assert findings == ([] if valid else ["hint"])


def test_the_name_of_a_module():
    assert [each.text for each in language.check_module("toytip/place.py", "")] == ["place"]


def test_code_in_a_module_is_not_prose():
    module = textwrap.dedent('''
        """Read trips.

            trips = read(); print(trips)

        >>> a = 1; b = 2
        """

        import os  # noqa: F401; not used
        command = 'while :; do "$@"; sleep 1; done'
        policy = "default-src 'none'; img-src data:"
        joined = "; ".join(lines)
        colors = "#fff; it is"
        kind = f"{kind}; charset=utf-8"
    ''')
    assert patterns(language.check_module("m.py", module)) == ["semicolon"]


def test_a_syntax_error():
    assert patterns(language.check_module("m.py", "def read(:\n")) == ["syntax"]


def test_web_pages_and_scripts():
    html = "<style>a { b: c; d: e }</style>\n<p>The run\ngoes <a href='a; b'>on</a> here.</p>{% if what is %}<p>{{ a; b }}</p>"
    assert [(each.line, each.pattern) for each in language.check_web_page("page.html", html)] == [
        (3, "go-on")
    ]
    script = "let a = 1; let b = 'a; b';\n// It is drawn anew.\nsay(`${name} goes on`, \"taken over\");\n"
    assert [(each.line, each.pattern) for each in language.check_script("page.js", script)] == [
        (1, "semicolon"),
        (2, "old-word"),
        (3, "go-on"),
        (3, "take-over"),
    ]


@pytest.mark.parametrize("word", ["skip", "off"])
def test_the_formatter_stays_on(word):
    assert patterns(language.check_formatting("tests/test_x.py", f"x = 1  # fmt: {word}\n")) == ["fmt"]


def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for path, text in {
        "README.md": "It goes on.\n",
        "docs/how-to/a.md": "A; b.\n",
        "toytip/store/files.py": "told = 'x'\n",
        "notes.md": "It goes on.\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert language.main([]) == 1
    output = capsys.readouterr()
    assert output.out.splitlines() == [
        "README.md:1: go-on: It goes on.",
        "docs/how-to/a.md:1: semicolon: A; b.",
        "toytip/store/files.py:1: filler-name: told",
    ]
    assert 'go-on (1): write "resumes" or "continues"' in output.err
    assert language.main(["--summary", "--paths", "./docs", "toytip/store"]) == 1
    assert capsys.readouterr().out.split() == [
        "1",
        "docs/how-to/a.md",
        "1",
        "toytip/store/files.py",
        "2",
        "total",
    ]
    assert language.main(["--paths", "toytip/cli"]) == 0
