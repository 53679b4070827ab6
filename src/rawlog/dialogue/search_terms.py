"""What a search expression is made of: terms about a recording, about an exchange, about texts, and ``and or not``.

Knows: how each term is decided, and which texts must be somewhere in a recording that matches. Must not know: how an
expression is written (search.py), how texts are found.
"""

from __future__ import annotations

import ipaddress
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from rawlog.dialogue.exchange import Exchange
from rawlog.dialogue.exchange_summary import Summary
from rawlog.dialogue.search_units import duration, size

Matches = Callable[[str], bool]
Compare = Callable[[int | None], bool]


class Term(ABC):
    """One term, or several under an operator."""

    def about(self, name: str, summary: Summary) -> Term:
        """What is left of it when a recording, its name and what is known of it, is known."""
        return self

    @abstractmethod
    def holds(self, exchange: Exchange) -> bool:
        """Whether it is true of an exchange."""

    def needs(self) -> list[frozenset[int]]:
        """Of each of these sets of texts, one at least must be found somewhere, or nothing matches."""
        return []

    def asks_recording(self) -> bool:
        """Whether it asks for something that is known of the recording as a whole."""
        return False


@dataclass(frozen=True, slots=True)
class Constant(Term):
    """Decided already."""

    value: bool

    def holds(self, exchange: Exchange) -> bool:
        return self.value


@dataclass(frozen=True, slots=True)
class OfRecording(Term):
    """Something about a recording."""

    ask: Callable[[str, Summary], bool]

    def about(self, name: str, summary: Summary) -> Term:
        return Constant(self.ask(name, summary))

    def holds(self, exchange: Exchange) -> bool:
        raise AssertionError("ask about() first")

    def asks_recording(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class OfExchange(Term):
    """Something about an exchange."""

    ask: Callable[[Exchange], bool]

    def holds(self, exchange: Exchange) -> bool:
        return self.ask(exchange)


@dataclass(frozen=True, slots=True)
class OfText(Term):
    """The text with this number stands in the exchange."""

    number: int

    def holds(self, exchange: Exchange) -> bool:
        return any(hit.text == self.number for hit in exchange.hits)

    def needs(self) -> list[frozenset[int]]:
        return [frozenset((self.number,))]


@dataclass(frozen=True, slots=True)
class Not(Term):
    """The opposite."""

    term: Term

    def about(self, name: str, summary: Summary) -> Term:
        term = self.term.about(name, summary)
        return Constant(not term.value) if isinstance(term, Constant) else Not(term)

    def holds(self, exchange: Exchange) -> bool:
        return not self.term.holds(exchange)

    def asks_recording(self) -> bool:
        return self.term.asks_recording()


@dataclass(frozen=True, slots=True)
class Several(Term):
    """All of some terms (``every``), or one of them."""

    terms: tuple[Term, ...]
    every: bool

    def about(self, name: str, summary: Summary) -> Term:
        left = [term.about(name, summary) for term in self.terms]
        values = [term.value for term in left if isinstance(term, Constant)]
        if (not self.every) in values:
            return Constant(not self.every)
        open_terms = tuple(term for term in left if not isinstance(term, Constant))
        return Several(open_terms, self.every) if open_terms else Constant(self.every)

    def holds(self, exchange: Exchange) -> bool:
        values = (term.holds(exchange) for term in self.terms)
        return all(values) if self.every else any(values)

    def needs(self) -> list[frozenset[int]]:
        needs = [term.needs() for term in self.terms]
        if self.every:
            return [texts for need in needs for texts in need]
        return [frozenset().union(*(need[0] for need in needs))] if all(needs) else []

    def asks_recording(self) -> bool:
        return any(term.asks_recording() for term in self.terms)


# -- terms by their names ------------------------------------------------------------------------------------------


TEXTS: dict[str, Callable[[Matches, str], Term]] = {
    "user": lambda matches, value: OfRecording(lambda name, summary: _is_user(name, summary, matches, value)),
    "ip": lambda matches, value: OfRecording(_address(matches, value)),
    "protocol": lambda matches, _: OfRecording(lambda _, summary: matches(summary.protocol)),
    "software": lambda matches, value: OfRecording(lambda _, summary: _inside(matches, value, summary.software)),
    "end": lambda matches, value: OfRecording(lambda _, summary: _inside(matches, value, summary.end)),
    "name": lambda matches, value: OfRecording(lambda name, _: _inside(matches, value, name)),
    "command": lambda matches, _: OfExchange(lambda e: matches(e.verb) or any(map(matches, e.verb.split()))),
    "status": lambda matches, _: OfExchange(lambda e: matches(e.status) or any(matches(_code(r)) for r in e.replies)),
    "tag": lambda matches, _: OfExchange(lambda e: matches(e.tag)),
    "is": lambda _, value: OfExchange(STATES[value.lower()]),
}
"""``NAME:VALUE``: each is given what the value matches, and the value as it was written."""


STATES: dict[str, Callable[[Exchange], bool]] = {
    "error": lambda exchange: exchange.failed,
    "unanswered": lambda exchange: exchange.is_command and not exchange.answered,
    "command": lambda exchange: exchange.is_command,
}

NUMBERS: dict[str, tuple[Callable[[str], int | None], Callable[[Compare], Term]]] = {
    "latency": (duration, lambda fits: OfExchange(lambda e: fits(e.latency))),
    "first": (duration, lambda fits: OfExchange(lambda e: fits(e.first_latency))),
    "talking": (duration, lambda fits: OfExchange(lambda e: fits(e.talking))),
    "sent": (size, lambda fits: OfExchange(lambda e: fits(e.sent))),
    "received": (size, lambda fits: OfExchange(lambda e: fits(e.received))),
    "duration": (duration, lambda fits: OfRecording(lambda _, s: fits(s.duration))),
    "slowest": (duration, lambda fits: OfRecording(lambda _, s: fits(s.slowest))),
    "commands": (size, lambda fits: OfRecording(lambda _, s: fits(s.commands))),
    "errors": (size, lambda fits: OfRecording(lambda _, s: fits(s.errors))),
    "bytes": (size, lambda fits: OfRecording(lambda _, s: fits(s.in_bytes + s.out_bytes))),
}
"""``NAME>VALUE``: how the value is read, and what is compared with it."""


def wildcard(value: str) -> Matches:
    """Matches a word as a whole, upper and lower case alike; ``*`` stands for anything."""
    pattern = re.compile(".*".join(map(re.escape, value.split("*"))), re.IGNORECASE | re.DOTALL)
    return lambda text: pattern.fullmatch(text) is not None


def _inside(matches: Matches, value: str, text: str) -> bool:
    return matches(text) or value.lower() in text.lower()


def _code(reply: bytes) -> str:
    return reply[:3].decode("latin-1")


def _is_user(name: str, summary: Summary, matches: Matches, value: str) -> bool:
    """A user is meant by the whole name or by what is before the ``@``. Where a recording does not say whose it is, the
    directories it lies in do, since ``rawlog_dir`` mostly has one for each user."""
    if not summary.user:
        return any(map(matches, name.split("/")[:-1]))
    return matches(summary.user) or ("@" not in value and matches(summary.user.partition("@")[0]))


def _address(matches: Matches, value: str) -> Callable[[str, Summary], bool]:
    """An address, a network (``192.0.2.0/24``) or a pattern (``192.0.2.*``); the port does not count."""
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        return lambda _, summary: matches(_host(summary.client))

    def inside(_: str, summary: Summary) -> bool:
        try:
            return ipaddress.ip_address(_host(summary.client)) in network
        except ValueError:
            return False

    return inside


def _host(client: str) -> str:
    if client.startswith("["):
        return client[1:].partition("]")[0]
    return client.rpartition(":")[0] if client.count(":") == 1 else client
