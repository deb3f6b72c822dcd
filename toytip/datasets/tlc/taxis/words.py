"""Words for the codes in the TLC's files, and for the segment of card trips."""

from __future__ import annotations

from toytip.core.dataset.segments import SegmentWords
from toytip.datasets.tlc.time_words import TIME_WORDS

# Source: the TLC's data dictionaries.
VALUE_WORDS: dict[str, dict[str, str]] = {
    "payment_type": {
        "0": "flex fare",
        "1": "card",
        "2": "cash",
        "3": "no charge",
        "4": "dispute",
        "5": "unknown",
        "6": "voided",
    },
    "RatecodeID": {
        "1": "standard rate",
        "2": "JFK rate",
        "3": "Newark rate",
        "4": "Nassau or Westchester rate",
        "5": "negotiated fare",
        "6": "group ride",
        "99": "unknown rate",
    },
    "VendorID": {"1": "Creative Mobile", "2": "Curb", "6": "Myle", "7": "Helix"},
    "trip_type": {"1": "hailed in the street", "2": "dispatched"},
    **TIME_WORDS,
}

CARD_WORDS = SegmentWords(
    condition="payment_type 1",
    title="card trips",
    note="the only trips with recorded tips",
    explanation="The meter records only card tips, so every cash trip counts as a trip without a tip. "
    "Segment “all” is therefore easier to predict than segment “card”: the payment type alone separates many "
    "trips.",
)
