"""IMAP's lines: names go, the protocol stays."""

from __future__ import annotations

import pytest

from rawlog.dialogue.pseudonyms_imap import ImapSide
from rawlog.dialogue.pseudonyms_names import Names
from rawlog.dialogue.pseudonyms_text import Text

NAMES = Names(b"k" * 32)


def side(*, client: bool) -> ImapSide:
    return ImapSide(Text(NAMES), client=client)


def word(text: str) -> str:
    return NAMES.word(text.encode()).decode()


@pytest.mark.parametrize(
    "line",
    [
        "a1 SELECT INBOX",
        "a1 UID FETCH 1:* (FLAGS UID BODY.PEEK[HEADER.FIELDS (DATE FROM X-Foo)]<0.500> BODYSTRUCTURE)",
        "a1 STORE 1 +FLAGS.SILENT (\\Seen $Forwarded)",
        'a1 LIST "" "*" RETURN (STATUS (MESSAGES UIDNEXT))',
        'a1 ID ("name" "Thunderbird" "version" "128.1")',
        "a1 SEARCH UNSEEN SINCE 22-Nov-2026 LARGER 1000",
        "a1 LOGIN {5}",
        "DONE",
    ],
)
def test_a_command_that_names_nobody_stays(line: str) -> None:
    assert side(client=True).line(line.encode() + b"\r\n", goes_on=False) == line.encode() + b"\r\n"


@pytest.mark.parametrize(
    "line",
    [
        '* 3 FETCH (FLAGS (\\Seen) UID 7 INTERNALDATE "22-Nov-2026 10:00:00 +0000" RFC822.SIZE 4711)',
        '* 1 FETCH (BODYSTRUCTURE (("text" "plain" ("charset" "utf-8") NIL NIL "quoted-printable" 5 1) '
        '("application" "vnd.ms-excel" NIL NIL NIL "base64" 9) "mixed" ("boundary" "=_alice")))',
        '* LIST (\\HasNoChildren \\Sent) "." INBOX',
        "* STATUS INBOX (MESSAGES 3 UIDNEXT 4)",
        '* ESEARCH (TAG "a1") UID ALL 1:3',
        "a1 OK [COPYUID 38505 304,319 3956] Done",
        "* SEARCH 1 2 3",
        "+ OK",
    ],
)
def test_an_answer_that_names_nobody_stays(line: str) -> None:
    assert side(client=False).line(line.encode() + b"\r\n", goes_on=False) == line.encode() + b"\r\n"


@pytest.mark.parametrize(
    ("client", "line"),
    [
        (True, "a1 SELECT {}"),
        (True, 'a1 SELECT "{}.{}"'),
        (True, "a1 RENAME {} {}"),
        (True, "a1 UID COPY 1:3 {}"),
        (True, "a1 LOGIN {} XXXXXXXX"),
        (True, 'a1 SEARCH FROM "{}" SUBJECT {}'),
        (False, '* LIST (\\HasChildren) "/" {}/{}'),
        (False, '* STATUS "{}" (MESSAGES 1)'),
        (False, "a1 NO [NONEXISTENT] Mailbox {} does not exist"),
        (False, '* 1 FETCH (ENVELOPE ("22-Nov-2026" "{}" (("{}" NIL "{}" "{}")) NIL NIL NIL NIL NIL NIL NIL))'),
        (False, '* 1 FETCH (BODYSTRUCTURE ("application" "pdf" ("name" "{}.{}") "<{}@{}>" NIL "base64" 7))'),
    ],
)
@pytest.mark.parametrize("name", ["search", "kingfisher"])
def test_names_go(client: bool, line: str, name: str) -> None:
    if (name == "search" and "SUBJECT" in line) or "does not exist" in line:
        name = "kingfisher"
    count = line.count("{}")
    made = side(client=client).line(line.format(*[name] * count).encode() + b"\r\n", goes_on=False)
    assert made == line.format(*[word(name)] * count).encode() + b"\r\n"


def test_a_tag_that_may_be_a_word_goes_and_its_answer_has_the_same() -> None:
    asked = side(client=True).line(b"kingfisher NOOP\r\n", goes_on=False)
    answered = side(client=False).line(b"kingfisher OK done\r\n", goes_on=False)
    assert asked.split()[0] == answered.split()[0] == NAMES.word(b"kingfisher")
    assert side(client=True).line(b"kingfisher flies away\r\n", goes_on=False).split()[0] != b"kingfisher"


def test_what_a_clients_literal_is() -> None:
    made = side(client=True)
    made.line(b"a APPEND {4}\r\n", goes_on=False)
    assert made.literal(b"Sent") == NAMES.word(b"Sent")
    made.line(b" (\\Seen) {19}\r\n", goes_on=True)
    assert made.literal(b"Subject: kingfisher").startswith(b"Subject: ")
    made.line(b"b RENAME {4}\r\n", goes_on=False)
    made.literal(b"Sent")
    assert made.line(b" Search\r\n", goes_on=True) == b" " + NAMES.word(b"Search") + b"\r\n"


@pytest.mark.parametrize(
    ("item", "headers"),
    [
        (b"BODY[]", True), (b"BODY[HEADER]", True), (b"BODY[1.MIME]", True), (b"RFC822", True), (b"BODY[]<0>", True),
        (b"BODY[HEADER.FIELDS (FROM)]", True), (b"RFC822.HEADER", True),
        (b"BODY[TEXT]", False), (b"BODY[1]", False), (b"RFC822.TEXT", False), (b"BODY[]<500>", False),
    ],
)  # fmt: skip
def test_what_a_servers_literal_is(item: bytes, headers: bool) -> None:
    made = side(client=False)
    made.line(b"* 1 FETCH (UID 3 " + item + b" {21}\r\n", goes_on=False)
    assert made.literal(b"Subject: kingfisher\r\n").startswith(b"Subject: ") == headers


def test_a_literal_in_an_envelope_is_content() -> None:
    made = side(client=False)
    made.line(b"* 1 FETCH (ENVELOPE (NIL {17}\r\n", goes_on=False)
    assert made.literal(b"Subject: kingfish")[:7] != b"Subject"
    line = made.line(b' (("text" NIL "plain" "mixed"))) BODY ("text" "plain" NIL))\r\n', goes_on=True)
    assert line.endswith(b' BODY ("text" "plain" NIL))\r\n')
    assert not line.startswith(b' (("text"')
