"""One thing that the doctor found.

Knows: a mark and a sentence. Must not know: how it was found.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum


class Mark(Enum):
    """How things are."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """``sentence`` is plain text in one line; with WARN and FAIL it ends with what to do."""

    mark: Mark
    sentence: str

    def about(self, subject: str) -> Finding:
        """The same, with what it is about in front."""
        return replace(self, sentence=f"{subject}: {self.sentence}")


def ok(sentence: str) -> Finding:
    """It is as it should be."""
    return Finding(Mark.OK, sentence)


def warn(sentence: str) -> Finding:
    """It may be meant so."""
    return Finding(Mark.WARN, sentence)


def fail(sentence: str) -> Finding:
    """This keeps a recording from being made."""
    return Finding(Mark.FAIL, sentence)
