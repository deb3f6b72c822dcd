"""Values, schemas and tables. These modules do no input or output."""
