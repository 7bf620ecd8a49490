"""The append-only record of every message and decision.

``records`` frames, ``segments`` writes, ``scan`` walks and judges the files, ``reader`` reads and follows,
``codec`` is the JSON of core inputs and outputs, ``index`` finds what was sent under a number, ``show`` is for
people, ``compress`` packs finished segments.

That nobody changed it: ``merkle`` is the tree over the records, ``growth`` compares it with what it was, ``notes``
and ``keys`` sign, ``checkpoints`` keeps what was signed, ``notary`` and ``anchors`` make checkpoints and send them
away, ``verification`` checks everything, ``proofs`` proves single records to others.
"""
