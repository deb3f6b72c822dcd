"""Values, schemas and tables. The modules do not read or write files."""
