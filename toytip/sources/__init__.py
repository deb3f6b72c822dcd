"""TLC trip files: discovery, reading, inspection, download and synthesis."""
