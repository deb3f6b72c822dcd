"""TLC trip files: discovery, reading, download, synthesis."""
