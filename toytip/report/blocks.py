"""The parts of a page as plain values: sections, texts, tables and pictures.

The template decides how a block looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class TableCell:
    """A table cell: text, bar length (0 to 1), tint level (0 to 5) and tone (`good` or `bad`).

    In the first column, `link` is the relative address of a page about the row.
    """

    text: str
    bar: float | None = None
    level: int = 0
    tone: str = ""
    link: str = ""


@dataclass(frozen=True, kw_only=True)
class TableBlock:
    """A table. The first column names the rows.

    Columns that are not in `text_columns` are right-aligned. If `wrap` is set, text may wrap.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str | TableCell]]
    note: str = ""
    text_columns: Sequence[int] = (0,)
    wrap: bool = False
    kind: str = field(default="table", init=False)


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A chart as SVG, with alternative text, a caption, and a legend of colors."""

    title: str
    svg: str
    alt: str
    caption: str
    legend: Sequence[tuple[str, str]] = ()
    small: bool = False


@dataclass(frozen=True)
class PicturesBlock:
    """Pictures next to each other if the page is wide enough."""

    pictures: Sequence[Picture]
    kind: str = field(default="pictures", init=False)

    @property
    def small(self) -> bool:
        """Whether all pictures are small."""
        return all(picture.small for picture in self.pictures)


@dataclass(frozen=True)
class TextBlock:
    """A paragraph."""

    text: str
    kind: str = field(default="text", init=False)


@dataclass(frozen=True)
class MissingBlock:
    """The reason why a part of a section is missing."""

    text: str
    kind: str = field(default="missing", init=False)


@dataclass(frozen=True)
class PairsBlock:
    """Names and values."""

    pairs: Sequence[tuple[str, str]]
    kind: str = field(default="pairs", init=False)


@dataclass(frozen=True)
class WarningsBlock:
    """Warnings, as pairs of text and ID of the section with the details."""

    lines: Sequence[tuple[str, str]]
    kind: str = field(default="warnings", init=False)


@dataclass(frozen=True)
class TreeBlock:
    """The lineage of a version, as an indented list of (depth, name, description)."""

    lines: Sequence[tuple[int, str, str]]
    kind: str = field(default="tree", init=False)


Block = TableBlock | PicturesBlock | TextBlock | MissingBlock | PairsBlock | WarningsBlock | TreeBlock


@dataclass(frozen=True)
class Section:
    """A section of the page."""

    id: str
    title: str
    lead: str
    blocks: Sequence[Block]


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page: title, key figures (name, value, detail), and sections."""

    title: str
    kicker: str
    subtitle: Sequence[str]
    key_figures: Sequence[tuple[str, str, str]]
    sections: Sequence[Section]
    footer: str

    def section_title(self, id_: str) -> str:
        """Return the title of a section, given its ID."""
        return next((section.title for section in self.sections if section.id == id_), id_)
