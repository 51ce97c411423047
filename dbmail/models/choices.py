"""Choices that explain themselves: a label is "word: what it means"."""


def word_of(label: object) -> str:
    """The word of a choice's label: "sent" of "sent: the relay has taken it"."""
    return str(label).partition(": ")[0]


def meaning_of(label: object) -> str:
    """What stands behind the word: "the relay has taken it"; empty for a label that explains nothing."""
    return str(label).partition(": ")[2]
