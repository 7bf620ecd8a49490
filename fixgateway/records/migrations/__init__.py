"""The database's versions: one module in ``versions`` for each, run by alembic (:mod:`fixgateway.records.migrate`)."""
