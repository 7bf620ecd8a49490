"""The FIX engine: the only room that imports quickfix."""
