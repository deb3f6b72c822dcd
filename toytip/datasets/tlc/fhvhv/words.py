"""Words for the codes in the TLC's files."""

from __future__ import annotations

from toytip.datasets.tlc.time_words import TIME_WORDS

# Source: the TLC's data dictionary of high-volume for-hire vehicles.
VALUE_WORDS: dict[str, dict[str, str]] = {
    "company": {"2": "Juno", "3": "Uber", "4": "Via", "5": "Lyft"},
    "shared_request": {"0": "no shared ride requested", "1": "shared ride requested"},
    "shared_match": {"0": "not shared", "1": "shared"},
    "access_a_ride": {"0": "no Access-A-Ride trip", "1": "Access-A-Ride trip"},
    "wav_request": {"0": "no wheelchair access requested", "1": "wheelchair access requested"},
    "wav_match": {"0": "no wheelchair access", "1": "wheelchair access"},
    **TIME_WORDS,
}
