"""Values, schemas and tables of the data, without input and output."""
