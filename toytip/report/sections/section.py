"""Declare the sections of a report: the ID, the title, and the content or the error."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from toytip.report.blocks import Block, MissingBlock, Section

SectionInput = TypeVar("SectionInput")


@dataclass(frozen=True)
class Content:
    """The content of a section: an introductory sentence and blocks."""

    lead: str
    blocks: Sequence[Block]


def missing(lead: str, text: str) -> Content:
    """Return the content of a section without data: `text` is the reason."""
    return Content(lead, [MissingBlock(text)])


def section(
    section_id: str, title: str
) -> Callable[[Callable[[SectionInput], Content]], Callable[[SectionInput], Section]]:
    """Declare a function as a section.

    If the function raises an error, the section contains the error. The page is still created.
    """

    def declare(build: Callable[[SectionInput], Content]) -> Callable[[SectionInput], Section]:
        @functools.wraps(build)
        def build_section(facts: SectionInput) -> Section:
            try:
                content = build(facts)
            except Exception as error:  # noqa: BLE001 - one failing chart must not prevent the report
                text = f"toytip cannot create this section: {type(error).__name__}: {error}"
                content = missing("", text)
            return Section(section_id, title, content.lead, content.blocks)

        return build_section

    return declare
