"""What alembic runs: the migrations, on the connection :mod:`fixgateway.records.migrate` has opened and locked."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
