"""FIX text to core inputs and core outputs to FIX text, without losing a byte of what was on the wire.

Text is ``str``: the bytes of the wire decoded as UTF-8 with ``surrogateescape``, SOH as ``\\x01``. Tags are
``str`` everywhere, because the wire says ``011`` and ``+11`` where a number could not.
"""
