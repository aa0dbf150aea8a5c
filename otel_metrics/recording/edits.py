"""Owns how far a correction went from its draft: two measures, computed when it is recorded, so that texts need not be kept."""

import re

_TOKEN = re.compile(r"\w+(?:['’-]\w+)*|[^\w\s]")
_MOST_CHARACTERS = 20_000
"""Longer texts are compared by their beginnings: the comparison's time grows with the product of the lengths."""


def word_edit_rate(original: str, corrected: str) -> float:
    """Word-level Levenshtein distance over the number of words of the corrected text; 0 = unchanged, can exceed 1.

    Words are runs of letters and digits, joined by apostrophes and hyphens inside them ("don't"); every other
    punctuation character is a word of its own. It is the rate that the
    translation field calls HTER, without shifts (Snover and others, 2006). Against an empty corrected text the rate is 1,
    unless the original is empty too.
    """
    from rapidfuzz.distance import Levenshtein  # loaded with the first correction, not with the package

    before = _TOKEN.findall(original[:_MOST_CHARACTERS])
    after = _TOKEN.findall(corrected[:_MOST_CHARACTERS])
    if not after:
        return 1.0 if before else 0.0
    return Levenshtein.distance(before, after) / len(after)


def similarity(original: str, corrected: str) -> float:
    """1 minus the character-level Levenshtein distance over the longer length; 1 = equal, 0 = nothing in common."""
    from rapidfuzz.distance import Levenshtein

    return Levenshtein.normalized_similarity(original[:_MOST_CHARACTERS], corrected[:_MOST_CHARACTERS])
