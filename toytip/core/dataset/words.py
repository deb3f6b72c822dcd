"""The words of a data set for reports: its positive labels, and the rows of its segment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LabelWords:
    """Words for positive labels."""

    one: str
    """A positive label, such as `high tip`."""
    many: str
    """Positive labels, such as `positive labels`. Texts contain `the share of` before it."""


@dataclass(frozen=True)
class ReportWords:
    """The words of a data set for reports."""

    label: str
    """A positive label, such as `high tip`."""
    labels: str
    """Positive labels, such as `positive labels`."""
    segment: str
    """The trips of the segment, such as `card trips`. Empty without a segment."""
    baseline: str
    """The baseline that predicts the mean of a group, such as `hour-and-zone mean`."""
    title: str
    """Title of a page about trips, with `{}` for the kind of the files, such as `{} taxis`."""


# Words that fit every data set.
PLAIN_WORDS = ReportWords(
    label="positive label",
    labels="positive labels",
    segment="trips in the segment",
    baseline="group mean",
    title="{}",
)


def default_label_words(name: str) -> LabelWords:
    """Return words for positive labels for which nobody has written words.

    >>> default_label_words("generous_tip").many
    'trips with the label generous_tip'
    """
    return LabelWords(one=name.replace("_", " "), many=f"trips with the label {name}")
