"""The machine of a measurement: its facts, its other work, its page cache and its memory."""
