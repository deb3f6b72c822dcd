"""What a page is made of: sections of texts, tables and pictures, as plain values. The template knows how each looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class TableCell:
    """A cell of a table: its text; a bar of 0 to 1 behind it; a level of 0 to 5 that tints it; whether it is good or bad."""

    text: str
    bar: float | None = None
    level: int = 0
    tone: str = ""


@dataclass(frozen=True, kw_only=True)
class TableBlock:
    """A table. The first column names the rows; columns of numbers stand to the right; the words of a `wrap` one may wrap."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str | TableCell]]
    note: str = ""
    text_columns: Sequence[int] = (0,)
    wrap: bool = False
    kind: str = field(default="table", init=False)


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture: SVG, what it shows for those who do not see it, one sentence of what to see, and what its lines are."""

    title: str
    svg: str
    alt: str
    caption: str
    legend: Sequence[tuple[str, str]] = ()
    small: bool = False


@dataclass(frozen=True)
class PicturesBlock:
    """Pictures side by side, where there is room."""

    pictures: Sequence[Picture]
    kind: str = field(default="pictures", init=False)

    @property
    def small(self) -> bool:
        """Whether they are small ones."""
        return all(picture.small for picture in self.pictures)


@dataclass(frozen=True)
class TextBlock:
    """A paragraph."""

    text: str
    kind: str = field(default="text", init=False)


@dataclass(frozen=True)
class MissingBlock:
    """What is not there, and why."""

    text: str
    kind: str = field(default="missing", init=False)


@dataclass(frozen=True)
class PairsBlock:
    """Names and values."""

    pairs: Sequence[tuple[str, str]]
    kind: str = field(default="pairs", init=False)


@dataclass(frozen=True)
class WarningsBlock:
    """What to look at first; each with the section that tells more."""

    lines: Sequence[tuple[str, str]]
    kind: str = field(default="warnings", init=False)


@dataclass(frozen=True)
class TreeBlock:
    """Lines at depths: what was made from what."""

    lines: Sequence[tuple[int, str, str]]
    kind: str = field(default="tree", init=False)


Block = TableBlock | PicturesBlock | TextBlock | MissingBlock | PairsBlock | WarningsBlock | TreeBlock


@dataclass(frozen=True)
class Section:
    """A part of the page."""

    id: str
    title: str
    lead: str
    blocks: Sequence[Block]


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page: what it is of, the few numbers that matter, and its sections."""

    title: str
    kicker: str
    subtitle: Sequence[str]
    key_figures: Sequence[tuple[str, str, str]]
    sections: Sequence[Section]
    footer: str

    def section_title(self, id_: str) -> str:
        """Return the title of a section, by its id."""
        return next((section.title for section in self.sections if section.id == id_), id_)
