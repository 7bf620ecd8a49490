"""One module for each version of the tables; the number is ``tables.SCHEMA_VERSION``."""
