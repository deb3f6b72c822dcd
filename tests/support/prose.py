"""Split Markdown pages, docstrings, comments and messages into sentences.

Code does not count as prose. A mask hides it and has the same length as the text, so that an
offset in the mask is also an offset in the text.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser

# Fenced blocks, doctests, HTML comments, directive fences, link definitions, rules of tables.
NOT_PROSE = re.compile(
    r"^[ \t>]*(?P<fence>`{3,}|~{3,})(?s:.*?)(?:^[ \t>]*(?P=fence)[`~]*[ \t]*$|\Z)"
    r"|^[ \t]*>>>.*(?:\n[ \t]*\S.*)*"
    r"|<!--(?s:.*?)-->"
    r"|^[ \t]*:::.*$"
    r"|^[ \t]*\[[^\]\n]+\]:[ \t]\S.*$"
    r"|^[ \t]*\|[ \t:|-]+$",
    re.MULTILINE,
)
ITEM = re.compile(r"\s*(?:>\s*)*(?:(?:[-*+]|\d{1,2}[.)])\s+(?:\[[ x]\]\s+)?|>\s*)")
# A field of a docstring section (`StoreError: ...`), or the name of the section.
FIELD = re.compile(r"\s+\*{0,2}\w[\w.]*(?: \([^)]*\))?:\s|\s*[A-Z]\w+:\s*$")
HEADING = re.compile(r"#{1,6}\s+")
ONLY_A_LINK = re.compile(r"\[[^\]]*\]\([^)]*\)\.?$")
CODE_INDENT = 4
# A shorter string is a name, and a shorter cell is a name or a number.
MIN_WORDS = 2

# Each of these becomes one word, so that the sentence around it keeps its structure.
WORDS = re.compile(
    r"(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`)|\{\{.*?\}\}|\$?\{(?!%)[^{}]*\}|(?<!\]\()\b[a-z][a-z0-9]*://[^\s)>]+"
)
# And these become spaces.
SPACES = re.compile(
    r"\{%.*?%\}|</?[A-Za-z][^<>]*>|(?<=\])\([^()\s]*(?:\([^()]*\)[^()\s]*)?(?:\s\"[^\"]*\")?\)|(?<=\])\[[^\]]*\]"
    r"|&#?\w+;|!?\[|[\]*]"
)
BREAK = re.compile(r"(?<=[.!?])[\"'\u201d\u2019)]*\s+")
ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|vs|cf|approx|etc|al|incl|resp)|\.\.)\.$", re.IGNORECASE)


@dataclass(frozen=True)
class Block:
    """A paragraph, list item, heading, table cell or message.

    `lines` has a pair for each of its lines: the offset in the text and the line number.
    """

    text: str
    lines: tuple[tuple[int, int], ...]
    is_heading: bool = False

    def line_at(self, offset: int) -> int:
        """Return the line number of an offset."""
        return self.lines[bisect_right(self.lines, offset, key=lambda pair: pair[0]) - 1][1]


def one_line(text: str, line: int, *, is_heading: bool = False) -> Block:
    """Return a block of a single line."""
    return Block(text, ((0, line),), is_heading)


def joined(pieces: Sequence[tuple[int, str]]) -> Block:
    """Return the block of some consecutive lines, given as pairs of line number and text."""
    offsets, offset = [], 0
    for line, text in pieces:
        offsets.append((offset, line))
        offset += len(text) + 1
    text = " ".join(text for _, text in pieces)
    return Block(text, tuple(offsets), ONLY_A_LINK.match(text) is not None)


def masked(text: str) -> str:
    """Return the text with code, placeholders, URLs and markup hidden, at the same length."""
    text = WORDS.sub(lambda match: "x" * len(match[0]), text.replace("\\|", "xx"))
    return SPACES.sub(lambda match: " " * len(match[0]), text)


def sentences(text: str) -> Iterator[tuple[int, str]]:
    """Yield each sentence of a masked text with its offset."""
    start = 0
    for match in BREAK.finditer(text):
        if not ABBREVIATION.search(text, start, match.start()):
            yield from _stripped(start, text[start : match.start()])
            start = match.end()
    yield from _stripped(start, text[start:])


def _stripped(start: int, sentence: str) -> Iterator[tuple[int, str]]:
    if sentence.strip():
        yield start + len(sentence) - len(sentence.lstrip()), sentence.strip()


def markdown_blocks(text: str, first: int = 1) -> Iterator[Block]:
    """Yield the blocks of a Markdown page or a docstring that begins on line `first`."""
    text = NOT_PROSE.sub(lambda match: "\n" * match[0].count("\n"), text)
    yield from _grouped(_without_indented_code(text.split("\n")), first)


def _without_indented_code(lines: Iterable[str]) -> Iterator[str]:
    column, after_blank, in_code = 0, True, False
    for line in lines:
        if not line.strip():
            after_blank = True
            yield ""
            continue
        indent = len(line) - len(line.lstrip())
        in_code = (after_blank or in_code) and indent >= column + CODE_INDENT
        if not in_code:
            column = _content_column(line, indent, column, after_blank=after_blank)
        after_blank = False
        yield "" if in_code else line


def _content_column(line: str, indent: int, column: int, *, after_blank: bool) -> int:
    """Return the column at which the text of the current list item begins."""
    if item := ITEM.match(line):
        return item.end()
    return min(indent, column) if after_blank else column


def _grouped(lines: Iterable[str], first: int) -> Iterator[Block]:
    group: list[tuple[int, str]] = []
    for number, line in enumerate(lines, first):
        stripped = line.strip()
        item = ITEM.match(line)
        heading = HEADING.match(stripped)
        is_row = stripped.startswith("|")
        if group and (not stripped or item or heading or is_row or FIELD.match(line)):
            yield joined(group)
            group = []
        if is_row:
            yield from _cells(stripped, number)
        elif heading:
            yield one_line(stripped[heading.end() :], number, is_heading=True)
        elif stripped:
            group.append((number, line[item.end() :].strip() if item else stripped))
    if group:
        yield joined(group)


def _cells(row: str, number: int) -> Iterator[Block]:
    hidden = masked(row)
    for cell in re.finditer(r"[^|]+", hidden):
        if count_words(cell[0]) >= MIN_WORDS:
            yield one_line(row[cell.start() : cell.end()], number)


def count_words(text: str) -> int:
    """Return the number of words, without numbers and symbols."""
    return sum(any(character.isalpha() for character in word) for word in text.split())


def docstring_blocks(text: str, first: int) -> Iterator[Block]:
    """Yield the blocks of a docstring."""
    head, *rest = text.split("\n")
    margin = min((len(line) - len(line.lstrip()) for line in rest if line.strip()), default=0)
    yield from markdown_blocks("\n".join([head.strip(), *(line[margin:] for line in rest)]), first)


class _Html(HTMLParser):
    """Collects the texts between block elements."""

    INLINE = frozenset({"a", "b", "code", "em", "i", "kbd", "small", "span", "strong"})
    HIDDEN = frozenset({"script", "style", "code"})

    def __init__(self) -> None:
        super().__init__()
        self.blocks: list[Block] = []
        self._pieces: list[tuple[int, str]] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self._hidden += tag in self.HIDDEN
        self._break(tag)

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in self.HIDDEN
        self._break(tag)

    def handle_data(self, data: str) -> None:
        line = self.getpos()[0]
        text = "x" if self._hidden else data
        for number, piece in enumerate(text.split("\n"), line):
            if piece.strip():
                self._pieces.append((number, piece.strip()))

    def _break(self, tag: str) -> None:
        if tag not in self.INLINE and self._pieces:
            self.blocks.append(joined(self._pieces))
            self._pieces = []


def html_blocks(text: str) -> Iterator[Block]:
    """Yield the texts of an HTML page or template."""
    page = _Html()
    page.feed(re.sub(r"\{%.*?%\}", lambda match: " " * len(match[0]), text))
    page.close()
    yield from page.blocks


SCRIPT = re.compile(
    r"//(?P<comment>[^\n]*)|/\*(?P<long>.*?)\*/"
    r"|\"(?P<double>(?:\\.|[^\"\\\n])*)\"|'(?P<single>(?:\\.|[^'\\\n])*)'|`(?P<template>(?:\\.|[^`\\])*)`",
    re.DOTALL,
)


def script_blocks(text: str) -> Iterator[Block]:
    """Yield the comments and the strings of a script."""
    for match in SCRIPT.finditer(text):
        content = match[match.lastgroup or 0].strip(" */")
        if count_words(content) >= MIN_WORDS:
            yield one_line(" ".join(content.split()), text.count("\n", 0, match.start()) + 1)
