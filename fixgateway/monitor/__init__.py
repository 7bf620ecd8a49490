"""Prometheus metrics, the structured log, and health."""
