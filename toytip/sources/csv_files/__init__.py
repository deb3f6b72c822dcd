"""Read CSV files of any encoding, delimiter and notation of numbers."""
