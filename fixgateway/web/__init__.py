"""HTTP: the API for statements, sessions and order switches, metrics and health."""
