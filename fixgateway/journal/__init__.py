"""The append-only record of every message and decision.

``records`` frames, ``segments`` writes, ``scan`` walks and judges the files, ``reader`` reads, follows and
verifies, ``codec`` is the JSON of core inputs and outputs, ``index`` finds what was sent under a number,
``show`` is for people.
"""
