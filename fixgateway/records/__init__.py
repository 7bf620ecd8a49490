"""The SQL database: a projection of the journal, rebuildable from it at any time."""
