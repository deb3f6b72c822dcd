"""Check the language of the pages, messages, docstrings, comments and names of the project.

Run `python -m tests.support.language` in the root of the repository. It prints one line per
finding and exits with 1 if it has any. `--paths` limits it to files below the given prefixes, and
`--summary` prints counts per file.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.prose import Block, html_blocks, markdown_blocks, masked, script_blocks, sentences
from tests.support.python_source import PythonSource

MAX_WORDS = 35
PAGES = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/**/*.md",
    "cluster/**/*.md",
    "examples/*.md",
)
MODULES = ("toytip/**/*.py",)
WEB_PAGES = ("toytip/**/*.html", "docs/generate/**/*.html")
SCRIPTS = ("toytip/**/*.js", "docs/generate/**/*.js")
FORMATTED = ("toytip/**/*.py", "tests/**/*.py", "benchmarks/**/*.py")
# The JSON of a run has the key `kept`, which is the name of a field.
JSON_KEYS = {("toytip/pipeline/result.py", "kept"), ("toytip/pipeline/run.py", "kept")}
FILLERS = frozenset(
    {
        "told",
        "found",
        "there",
        "said",
        "each",
        "shown",
        "seen",
        "given",
        "some",
        "before",
        "place",
        "known",
        "made",
        "asked",
        "wanted",
        "todo",
        "kept",
        "rang",
        "lacking",
    }
)
TITLE = re.compile(r"What (?:an?|the|you)\b")
HINT = re.compile(r"[A-Z{`].*[.?}]|", re.DOTALL)
FMT = re.compile(r"#\s*fmt:\s*(?:skip|off)\b.*")

_UNITS = r"bytes?|files?|lines?|MB|GB|ns|ms|one|rows?|stages?|tasks?|trips?|values?|bits?|requests?|processes"
_PER = r"column|core|check|day|file|host|machine|minute|month|partition|process|rank|round|row|second|task|trip|value|worker|year"


@dataclass(frozen=True)
class Pattern:
    """Words that the style guide does not allow.

    A pattern `for_statements` is allowed in questions and in headings such as "What a run writes".
    """

    name: str
    regex: re.Pattern[str]
    hint: str
    for_statements: bool = False

    def search(self, sentence: str, *, is_heading: bool = False) -> re.Match[str] | None:
        """Return the first match in a masked sentence that breaks the rule."""
        if self.for_statements and is_heading and TITLE.match(sentence):
            return None
        match = self.regex.search(sentence)
        if match and self.for_statements and "?" in sentence[match.end() :]:
            return None
        return match


def _pattern(name: str, regex: str, hint: str, *, case: bool = False, statements: bool = False) -> Pattern:
    """Return a pattern in which a space stands for any white space."""
    return Pattern(
        name, re.compile(regex.replace(" ", r"\s+"), 0 if case else re.IGNORECASE), hint, statements
    )


PATTERNS = (
    _pattern(
        "old-word",
        r"\b(?:anew|half-made|unbidden|whoever)\b",
        'write "again", "partial", "unexpectedly", "anyone who"',
    ),
    _pattern(
        "go-on",
        r"\b(?:go|goes|going|gone|went) on\b(?! (?:the|a|an|each|every|top)\b)",
        'write "resumes" or "continues"',
    ),
    _pattern("take-over", r"\b(?:tak(?:e|es|en|ing)|took) (?:\w+ )?over\b", 'write "reuses" or "replaces"'),
    _pattern("beside", r"\bbeside\b", 'write "next to", "compared with" or "and"'),
    _pattern(
        "told",
        r"\b(?:is|are|was|were|be|been) told\b|\btold (?:from|by|of|in)\b|\btells? (?:all|of)\b",
        'write "is computed from", "reports" or "describes"',
    ),
    _pattern(
        "is-there",
        r"\b(?:is|are|was|were)(?: (?:already|still|not|only|no longer))? there\b",
        'write "exists", "existing" or "already running"',
        statements=True,
    ),
    _pattern(
        "what-noun",
        r"\bwhat (?:is|are|was|were|it|they|has|have|had|runs?|each|no|an?|the)\b",
        "name the thing: the output, the cause",
        case=True,
        statements=True,
    ),
    _pattern(
        "fronted",
        r"(?:^|[.;:] )[\"'\u201c\u2018(]?(?:What|Of(?! course)|The same|That of)\b",
        "begin with the subject",
        case=True,
        statements=True,
    ),
    _pattern(
        "a-for-per",
        rf"(?<!each\s)(?<!every\s)(?<!the\s)\b(?:{_UNITS}) an? (?:{_PER})\b(?!-)",
        'write "per"',
    ),
    _pattern(
        "is-no",
        r"(?<!\bthere\s)\b(?:is|are|was|were) no (?!(?:longer|more|less|fewer|better|worse|different|other|later|earlier)\b)\w+",
        'write "is not"',
    ),
    _pattern(
        "stand-lie-lean",
        r"(?<![\w.-])(?:stands?|stood)\b(?![-.]\w| (?:for|out|alone)\b)"
        r"|(?<![\w.-])(?:lies?|lain)\b(?![-.]\w)|\blay (?:in|on|at|below|above|between|there)\b"
        r"|\b(?:lying|standing) (?:in|on|at|before|behind|between|there|under)\b"
        r"|(?<![\w.-])(?:leans|leaned)\b|(?<![\w.-])lean(?:ing)? (?:on|most|hardly|more|less)\b",
        'write "is", "is stored" or "depends on"',
    ),
    # A semicolon between two citations, "(Lewis, 1994; Siddiqi, 2006)", is fine.
    _pattern("semicolon", r"(?<!,\s\d{4});(?!\S)", "write two sentences"),
    _pattern("long", rf"^(?:\W*+\w\S*+){{{MAX_WORDS + 1}}}", f"use at most {MAX_WORDS} words per sentence"),
)
HINTS = {pattern.name: pattern.hint for pattern in PATTERNS} | {
    "hint": "begin a hint with a capital letter, and end it with a period",
    "filler-name": "name the thing that the variable holds",
    "fmt": "let the formatter format the code",
    "syntax": "fix the syntax error",
}


@dataclass(frozen=True, order=True)
class Finding:
    """A sentence or a name that breaks a rule."""

    path: str
    line: int
    pattern: str
    text: str

    def __str__(self) -> str:
        """Return the finding as a line for people and editors."""
        return f"{self.path}:{self.line}: {self.pattern}: {self.text}"


def check_block(path: str, block: Block) -> Iterator[Finding]:
    """Yield the findings of a block of prose, at most one per sentence and pattern."""
    for offset, sentence in sentences(masked(block.text)):
        for pattern in PATTERNS:
            if match := pattern.search(sentence, is_heading=block.is_heading):
                line = block.line_at(offset + match.start())
                yield Finding(path, line, pattern.name, _shown(block.text[offset : offset + len(sentence)]))


def _shown(sentence: str) -> str:
    return " ".join(sentence.split())


def check_page(path: str, text: str) -> Iterator[Finding]:
    """Yield the findings of a Markdown page."""
    for block in markdown_blocks(text):
        yield from check_block(path, block)


def check_module(path: str, text: str) -> Iterator[Finding]:
    """Yield the findings of a Python module: its texts, hints and names."""
    try:
        source = PythonSource(text)
        blocks = [*source.docstring_blocks(), *source.comment_blocks(), *source.string_blocks()]
    except SyntaxError as error:
        yield Finding(path, error.lineno or 1, "syntax", error.msg)
        return
    for block in blocks:
        yield from check_block(path, block)
    for line, hint in source.hints():
        if not HINT.fullmatch(hint):
            yield Finding(path, line, "hint", hint)
    for line, name in [(1, Path(path).stem), *source.names()]:
        if name.strip("_").lower() in FILLERS and (path, name) not in JSON_KEYS:
            yield Finding(path, line, "filler-name", name)


def check_web_page(path: str, text: str) -> Iterator[Finding]:
    """Yield the findings of an HTML page or template."""
    for block in html_blocks(text):
        yield from check_block(path, block)


def check_script(path: str, text: str) -> Iterator[Finding]:
    """Yield the findings of the strings and comments of a script."""
    for block in script_blocks(text):
        yield from check_block(path, block)


def check_formatting(path: str, text: str) -> Iterator[Finding]:
    """Yield the lines that switch the formatter off."""
    for match in FMT.finditer(text):
        yield Finding(path, text.count("\n", 0, match.start()) + 1, "fmt", match[0])


CHECKS = (
    (PAGES, check_page),
    (MODULES, check_module),
    (WEB_PAGES, check_web_page),
    (SCRIPTS, check_script),
    (FORMATTED, check_formatting),
)


def check_tree(root: Path, prefixes: Sequence[str] = ()) -> list[Finding]:
    """Return the findings of all files below `root` whose paths begin with one of the prefixes."""
    findings: set[Finding] = set()
    for globs, check in CHECKS:
        for path in _files(root, globs, prefixes):
            findings.update(check(path, (root / path).read_text(encoding="utf-8")))
    return sorted(findings)


def _files(root: Path, globs: Iterable[str], prefixes: Sequence[str]) -> list[str]:
    paths = {path.relative_to(root).as_posix() for glob in globs for path in root.glob(glob)}
    return sorted(path for path in paths if not prefixes or path.startswith(tuple(prefixes)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the current directory and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.language", description="Check the language."
    )
    parser.add_argument(
        "--paths", nargs="+", default=[], metavar="PREFIX", help="check only files below these prefixes"
    )
    parser.add_argument("--summary", action="store_true", help="print counts per file instead of findings")
    options = parser.parse_args(arguments)
    findings = check_tree(Path.cwd(), [prefix.removeprefix("./") for prefix in options.paths])
    lines = summary(findings) if options.summary else map(str, findings)
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stderr.writelines(f"{line}\n" for line in legend(findings))
    return 1 if findings else 0


def summary(findings: Iterable[Finding]) -> Iterator[str]:
    """Yield the number of findings per file and in total."""
    counts = Counter(finding.path for finding in findings)
    for path, count in sorted(counts.items()):
        yield f"{count:>6} {path}"
    yield f"{counts.total():>6} total"


def legend(findings: Iterable[Finding]) -> Iterator[str]:
    """Yield, for each pattern that has findings, their number and how to fix them."""
    for name, count in Counter(finding.pattern for finding in findings).most_common():
        yield f"{name} ({count}): {HINTS[name]}"


if __name__ == "__main__":
    sys.exit(main())
