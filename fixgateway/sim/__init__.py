"""Scriptable counterparties over plain sockets."""
