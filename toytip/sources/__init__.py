"""The TLC's trip files: find, read, inspect, download and generate them."""
