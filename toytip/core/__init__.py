"""Values, schemas and tables: what the data is. No input or output."""
