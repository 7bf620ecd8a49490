"""The pre-approved codes of exceptions, and what an explanation must be at least.

A firm approves in advance for what reasons an allocation may differ from the computed one (SMC Capital, SEC staff
letter of 5 September 1995, condition 6: the reason is written and approved in writing). Whoever asks for an exception
names a code of the list in force and explains the case in words. The whole list is part of the configuration and
stands in the journal with it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import date

DEVIATION, RE_DESIGNATION, STATEMENT_CHANGE = "deviation", "re-designation", "statement-change"
KINDS = (DEVIATION, RE_DESIGNATION, STATEMENT_CHANGE)
"""What can be asked for; :mod:`.deviations` has what each may do."""
MIN_TEXT = 40
"""Characters an explanation has at least, unless the list says more."""
MIN_WORDS = 5
"""Different words an explanation has at least besides the empty phrases."""
MIN_LETTERS = 8
"""Different letters and digits it has at least."""


@dataclass(frozen=True, slots=True)
class ExceptionCode:
    """One pre-approved reason.

    ``criterion`` says in words when it fits; ``condition`` names a test of :mod:`.conditions` that must hold, "" where
    only a person can judge. ``kinds`` are those of :data:`KINDS` it is for.
    """

    code: str
    kinds: tuple[str, ...]
    criterion: str
    condition: str = ""


@dataclass(frozen=True, slots=True)
class ExceptionRules:
    """The list in force with its ``text`` and the SHA-256 of that in hex.

    ``min_text`` is how many characters an explanation has at least; one that consists of ``empty_phrases``, also
    repeated or with a few words around them, is refused.
    """

    version: str
    approved_by: str
    approved_on: date
    codes: tuple[ExceptionCode, ...]
    min_text: int = MIN_TEXT
    empty_phrases: tuple[str, ...] = ()
    text: str = ""
    text_sha256: str = ""

    def find(self, code: str) -> ExceptionCode | None:
        """The entry of a code, None when it is not on the list."""
        return next((entry for entry in self.codes if entry.code == code), None)


def plain_words(text: str) -> str:
    """A text as its words alone: one form of every letter, no case, no marks, no punctuation, one blank between."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    visible = "".join(c for c in folded if unicodedata.category(c) not in ("Cf", "Mn", "Me"))
    return " ".join(re.findall(r"[^\W_]+", visible))


def explanation_problem(text: str, rules: ExceptionRules) -> str:
    """Why a text explains nothing, "" when it may.

    Phrases are taken out of it, longest first; what is left must still be different words enough. Repeating anything
    therefore adds nothing.
    """
    words = plain_words(text)
    if len(words) < rules.min_text:
        return f"the explanation has {len(words)} characters, {rules.min_text} are the least"
    left = f" {words} "
    for phrase in sorted(map(plain_words, rules.empty_phrases), key=len, reverse=True):
        while phrase and f" {phrase} " in left:
            left = left.replace(f" {phrase} ", " ", 1)
    different = list(dict.fromkeys(left.split()))
    said = " ".join(different)
    if len(different) < MIN_WORDS or len(said) < rules.min_text // 2 or len(set(said) - {" "}) < MIN_LETTERS:
        return (
            "the explanation says nothing of this case: without phrases and repetitions "
            f"{said[:60] or 'nothing'!r} is left"
        )
    return ""
