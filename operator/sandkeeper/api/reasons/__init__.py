"""What conditions tell: every word that their ``reason`` may be, what it means, and what ends it.

Whoever reads an object finds the word explained here and nowhere else; the pages in docs/reference are made from it.
Texts are Markdown, and their links begin in that folder.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """What one word means; a word that has several meanings comes several times.

    Attributes
    ----------
    word
        As in the condition's ``reason``.
    meaning
        What is the matter.
    remedy
        What ends it; empty where nothing has to be done.
    """

    word: str
    meaning: str
    remedy: str = ""


@dataclass(frozen=True)
class Aspect:
    """A condition of a kind.

    Attributes
    ----------
    type
        As in the condition's ``type``.
    meaning
        What it tells, and when it is there.
    reasons
        Words that its reason may be; none of its own where it repeats those of ``Ready``.
    """

    type: str
    meaning: str
    reasons: tuple[Reason, ...] = ()
