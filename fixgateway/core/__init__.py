"""The rules: pure, deterministic, one door (:class:`fixgateway.core.engine.Engine`)."""
