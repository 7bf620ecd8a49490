"""fixgateway, the FIX allocation gateway: fair allocation as a property of the wire."""

__version__ = "0.3.0"
