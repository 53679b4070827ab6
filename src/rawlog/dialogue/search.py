r"""The search language: ``user:alice command:FETCH latency>1s not "BODY.PEEK"``.

Knows: how an expression is written, and how the exchanges of a recording are searched with it. Must not know: files.

* ``NAME:VALUE`` about the recording: ``user``, ``ip``, ``protocol``, ``software``, ``end``, ``name``; about an
  exchange: ``command``, ``status``, ``tag``, ``is`` (``error``, ``unanswered``, ``command``). A value may hold ``*``,
  stand in double quotes, or be a regular expression between slashes.
* ``NAME>VALUE``, also ``<``, ``>=``, ``<=``, ``=``: ``latency``, ``first``, ``talking`` (durations), ``sent``,
  ``received`` (sizes) of an exchange; ``duration``, ``slowest``, ``commands``, ``errors``, ``bytes`` of a recording.
* ``word``, ``"some text"``, ``/regular expression/`` in either direction; ``in:`` or ``out:`` before it in one. With
  ``/…/i`` upper and lower case are alike.
* Terms that follow each other must all hold; ``or``, ``not`` and parentheses as usual.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from rawlog.dialogue.exchange import Exchange, exchanges
from rawlog.dialogue.exchange_summary import Summary
from rawlog.dialogue.search_terms import (
    NUMBERS,
    STATES,
    TEXTS,
    Constant,
    Matches,
    Not,
    OfText,
    Several,
    Term,
    wildcard,
)
from rawlog.dialogue.search_text import Scan, Text
from rawlog.errors import ConfigError
from rawlog.events import Chunk, Direction, Recording

_TOKEN = re.compile(
    r"(?P<blank>\s+)|(?P<open>\()|(?P<close>\))"
    r"|(?:(?P<name>[A-Za-z]+)(?P<relation>:|>=|<=|>|<|=))?"
    r'(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|/(?P<regex>(?:[^/\\]|\\.)+)/(?P<flags>i?)(?=[\s()]|\Z)|(?P<word>[^\s()"]+))',
    re.DOTALL,
)
END = 1 << 62  # an offset behind every byte

_RELATIONS = {">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le, "=": operator.eq}
_SIDES = {"in": Direction.IN, "out": Direction.OUT}
_NAMES = (*TEXTS, *_SIDES, *NUMBERS)


@dataclass(frozen=True, slots=True)
class Query:
    """An expression: its terms, and the texts they look for."""

    term: Term
    texts: tuple[Text, ...] = ()

    def about(self, name: str, summary: Summary) -> Query:
        """What is left of it for one recording."""
        return Query(self.term.about(name, summary), self.texts)

    @property
    def decided(self) -> bool | None:
        """Whether all exchanges match, or none; None where each must be looked at."""
        return self.term.value if isinstance(self.term, Constant) else None

    def needles(self) -> list[frozenset[tuple[bytes, bool]]]:
        """Of each of these sets of texts, one at least must stand in a recording that matches; each with whether upper
        and lower case are alike."""
        needs = [[self.texts[number] for number in need] for need in self.term.needs()]
        known = [need for need in needs if all(text.literal for text in need)]
        return [frozenset((text.literal, text.ignore_case) for text in need) for need in known]


def parse(expression: str, *, ignore_case: bool = False) -> Query:
    """The query that an expression means. ``ignore_case`` is for all its texts.

    Raises ConfigError, which names the place, when it means nothing.
    """
    return _Parser(expression, ignore_case).query()


def could_match(recording: Recording, query: Query) -> bool:
    """Whether the texts that must be there are there. Quicker than ``search``, and mostly the answer is no."""
    needs = query.term.needs()
    if not needs:
        return True
    scan = Scan(query.texts)
    for event in recording.events:
        if isinstance(event, Chunk):
            scan.append(event.direction, event.data)
            scan.forget()
    for direction in Direction:
        scan.take(direction, END)
    return all(any(scan.seen(text) for text in need) for need in needs)


def search(recording: Recording, query: Query) -> Iterator[Exchange]:
    """The exchanges of a recording that match. ``query`` must not ask for anything about the recording any more."""
    scan = Scan(query.texts) if query.texts else None
    return (exchange for exchange in exchanges(recording, scan=scan) if query.term.holds(exchange))


@dataclass(frozen=True, slots=True)
class _Token:
    found: re.Match[str]

    @property
    def kind(self) -> str:
        """``open``, ``close``, ``and``, ``or``, ``not``, or ``term``."""
        kind = self.found.lastgroup or ""
        if kind in ("open", "close"):
            return kind
        word = (self.found["word"] or "").lower()
        return word if word in ("and", "or", "not") and not self.found["name"] else "term"


class _Parser:
    """Reads one expression by recursive descent."""

    def __init__(self, expression: str, ignore_case: bool) -> None:
        self._expression = expression
        self._ignore_case = ignore_case
        self._texts: list[Text] = []
        self._tokens = list(self._cut())
        self._next = 0

    def query(self) -> Query:
        if not self._tokens:
            self._fail(0, "there is nothing to look for; use for instance command:FETCH")
        term = self._either()
        if (token := self._peek()) is not None:
            self._fail(token.found.start(), "a parenthesis too many")
        return Query(term, tuple(self._texts))

    def _cut(self) -> Iterator[_Token]:
        at = 0
        while at < len(self._expression):
            found = _TOKEN.match(self._expression, at)
            if found is None:
                self._fail(at, "a quotation mark or a value is missing")
            at = found.end()
            if found["blank"] is None:
                yield _Token(found)

    def _peek(self) -> _Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _take(self, *kinds: str) -> _Token | None:
        token = self._peek()
        if token is None or token.kind not in kinds:
            return None
        self._next += 1
        return token

    def _either(self) -> Term:
        terms = [self._every()]
        while self._take("or"):
            terms.append(self._every())
        return terms[0] if len(terms) == 1 else Several(tuple(terms), every=False)

    def _every(self) -> Term:
        terms = [self._single()]
        while self._take("and") or ((token := self._peek()) and token.kind in ("term", "open", "not")):
            terms.append(self._single())
        return terms[0] if len(terms) == 1 else Several(tuple(terms), every=True)

    def _single(self) -> Term:
        if self._take("not"):
            return Not(self._single())
        if opened := self._take("open"):
            term = self._either()
            if not self._take("close"):
                self._fail(opened.found.start(), "this parenthesis is not closed")
            return term
        token = self._take("term")
        if token is None:
            other = self._peek()
            self._fail(other.found.start() if other else len(self._expression), "a term is missing")
        return self._term(token.found)

    # -- one term -------------------------------------------------------------------------------------------------

    def _term(self, found: re.Match[str]) -> Term:
        name, relation = (found["name"] or "").lower(), found["relation"]
        if not name:
            return self._text(found, None)
        if name not in _NAMES:
            self._fail(found.start(), f"{name!r} is not known: use one of {', '.join(_NAMES)}, or quote the text")
        if relation != ":":
            return self._number(found, name, relation)
        if name in _SIDES:
            return self._text(found, _SIDES[name])
        if name in NUMBERS:
            self._fail(found.start(), f"{name} is compared: use for instance {name}>1")
        value = self._value(found)
        if name == "is" and value.lower() not in STATES:
            self._fail(found.start(), f"'is' knows {', '.join(STATES)}")
        return TEXTS[name](self._matches(found, value), value)

    def _number(self, found: re.Match[str], name: str, relation: str) -> Term:
        if name not in NUMBERS:
            self._fail(found.start(), f"{name} is no number: use {name}:VALUE")
        read, term = NUMBERS[name]
        value = read(self._value(found))
        if value is None:
            self._fail(found.start(), f"{found[0]!r} is no comparison: use for instance latency>500ms or received>=10k")
        compare, limit = _RELATIONS[relation], value
        return term(lambda number: number is not None and compare(number, limit))

    def _text(self, found: re.Match[str], direction: Direction | None) -> Term:
        pattern = (found["regex"] or self._value(found)).encode("utf-8", "surrogateescape")
        ignore_case = self._ignore_case or found["flags"] == "i"
        try:
            self._texts.append(Text(pattern, direction, found["regex"] is not None, ignore_case))
        except re.error as error:
            self._fail(found.start(), f"not a regular expression: {error}")
        return OfText(len(self._texts) - 1)

    def _matches(self, found: re.Match[str], value: str) -> Matches:
        if found["regex"] is None:
            return wildcard(value)
        try:
            pattern = re.compile(found["regex"], re.IGNORECASE)
        except re.error as error:
            self._fail(found.start(), f"not a regular expression: {error}")
        return lambda text: pattern.search(text) is not None

    def _value(self, found: re.Match[str]) -> str:
        if found["quoted"] is not None:
            return re.sub(r"\\(.)", r"\1", found["quoted"], flags=re.DOTALL)
        return found["regex"] or found["word"] or ""

    def _fail(self, at: int, what: str) -> NoReturn:
        raise ConfigError(f"search expression: character {at + 1}: {what}")
