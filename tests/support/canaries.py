"""Ways to say a secret in IMAP, right and wrong, and how to find it again in what was written down."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator

LONG = 70_000  # over the limit of a line


def forms(secret: bytes) -> Iterator[bytes]:
    """The secret as it may stand on the wire: raw, base64 in its three alignments, hex."""
    yield secret
    for shift in range(3):
        coded = base64.b64encode(bytes(shift) + secret)
        # The first and last characters also hold bits of what stands beside the secret.
        yield coded[(shift * 8 + 5) // 6 : (shift + len(secret)) * 8 // 6]
    yield secret.hex().encode()
    yield secret.hex().upper().encode()


def leaks(secret: bytes, written: bytes) -> list[bytes]:
    """The forms of the secret that are in ``written``."""
    return [form for form in forms(secret) if form in written]


def _b64(message: bytes) -> bytes:
    return base64.b64encode(message)


def _plain(secret: bytes, name: bytes = b"alice") -> bytes:
    return _b64(b"\0" + name + b"\0" + secret)


def _broken(secret: bytes) -> bytes:
    """A message for PLAIN in two lines, the secret in the second."""
    message = _plain(secret, b"alice.smith")
    return message[:12] + b"\r\n" + message[12:]


def _literal(data: bytes, sign: bytes = b"+", eight: bytes = b"") -> bytes:
    return eight + b"{%d%b}\r\n" % (len(data), sign) + data


# What the client sends, with the secret in it. The server's answers are somebody else's.
WAYS: dict[str, Callable[[bytes], bytes]] = {
    # LOGIN as it should be
    "atom": lambda s: b"a LOGIN alice " + s + b"\r\n",
    "quoted": lambda s: b'a LOGIN "alice" "' + s + b'"\r\n',
    "quoted, escapes": lambda s: b'a LOGIN "al\\"ice" "x\\"' + s + b'\\\\y"\r\n',
    "quoted, blanks": lambda s: b'a LOGIN "alice" " ' + s + b' {5}"\r\n',
    "lower case": lambda s: b"a login alice " + s + b"\r\n",
    "mixed case": lambda s: b"A LoGiN alice " + s + b"\r\n",
    "tabs": lambda s: b"a\tLOGIN\talice\t" + s + b"\r\n",
    "many blanks": lambda s: b"a   LOGIN \t alice   " + s + b"  \t\r\n",
    "literal": lambda s: b"a LOGIN alice " + _literal(s, b"") + b"\r\n",
    "literal+": lambda s: b"a LOGIN alice " + _literal(s) + b"\r\n",
    "literal8": lambda s: b"a LOGIN alice " + _literal(s, b"", b"~") + b"\r\n",
    "literal8+": lambda s: b"a LOGIN alice " + _literal(s, b"+", b"~") + b"\r\n",
    "name literal, atom": lambda s: b"a LOGIN " + _literal(b"alice", b"") + b" " + s + b"\r\n",
    "name literal+, quoted": lambda s: b"a LOGIN " + _literal(b"alice") + b' "' + s + b'"\r\n',
    "two literals": lambda s: b"a LOGIN " + _literal(b"alice", b"") + b" " + _literal(s, b"") + b"\r\n",
    "two literals+": lambda s: b"a LOGIN " + _literal(b"alice") + b" " + _literal(s) + b"\r\n",
    "literal, literal8+": lambda s: b"a LOGIN " + _literal(b"alice", b"") + b" " + _literal(s, b"+", b"~") + b"\r\n",
    "literal8, literal": lambda s: b"a LOGIN " + _literal(b"alice", b"", b"~") + b" " + _literal(s, b"") + b"\r\n",
    "quoted, literal": lambda s: b'a LOGIN "alice" ' + _literal(s, b"") + b"\r\n",
    "literal of anything": lambda s: b"a LOGIN alice " + _literal(b"\r\n\0\xff" + s + b"\n b LOGIN x\r") + b"\r\n",
    "long literal": lambda s: b"a LOGIN alice " + _literal(s + b"x" * LONG + s) + b"\r\n",
    "empty name": lambda s: b'a LOGIN "" ' + s + b"\r\n",
    "empty name literal": lambda s: b"a LOGIN " + _literal(b"") + b" " + s + b"\r\n",
    "bare LF": lambda s: b"a LOGIN alice " + s + b"\n",
    "LF behind the literal": lambda s: b"a LOGIN alice {%d+}\n%b\n" % (len(s), s),
    "two CR": lambda s: b"a LOGIN alice " + s + b"\r\r\n",
    "8-bit": lambda s: b"a LOGIN alic\xc3\xa9 \xff" + s + b"\xfe\r\n",
    "a tag with LOGIN in it": lambda s: b"LOGIN1.LOGIN LOGIN alice " + s + b"\r\n",
    "the tag LOGIN": lambda s: b"LOGIN LOGIN alice " + s + b"\r\n",
    "the tag AUTHENTICATE": lambda s: b"AUTHENTICATE LOGIN alice " + s + b"\r\n",
    "a long tag": lambda s: b"a" * 100 + b" LOGIN alice " + s + b"\r\n",
    # LOGIN that went wrong
    "no tag": lambda s: b"LOGIN alice " + s + b"\r\n",
    "no tag, lower case": lambda s: b"login alice " + s + b"\r\n",
    "no tag, quoted": lambda s: b'LOGIN "alice" "' + s + b'"\r\n',
    "no tag, literal+": lambda s: b"LOGIN alice " + _literal(s) + b"\r\n",
    "no tag, literal": lambda s: b"LOGIN alice " + _literal(s, b"") + b"\r\n",
    "no tag, the name is a command": lambda s: b"LOGIN NOOP " + s + b"\r\n",
    "no tag, the name is ID": lambda s: b'LOGIN ID ("name" "' + s + b'")\r\n',
    "no command": lambda s: b"alice " + s + b"\r\n",
    "the password alone": lambda s: s + b"\r\n",
    "no name": lambda s: b"a LOGIN " + s + b"\r\n",
    "no name, quoted": lambda s: b'a LOGIN "' + s + b'"\r\n',
    "no name, literal+": lambda s: b"a LOGIN " + _literal(s) + b"\r\n",
    "no name, literal": lambda s: b"a LOGIN " + _literal(s, b"") + b"\r\n",
    "a blank in the name": lambda s: b"a LOGIN alice smith " + s + b"\r\n",
    "a blank in the password": lambda s: b"a LOGIN alice x " + s + b" y\r\n",
    "a blank in the password, literal": lambda s: b"a LOGIN " + _literal(b"alice") + b" x " + s + b"\r\n",
    "three literals": lambda s: b"a LOGIN alice " + _literal(b"x") + b" " + _literal(s) + b"\r\n",
    "no quote at the end": lambda s: b'a LOGIN "alice" "' + s + b"\r\n",
    "no quote at the name's end": lambda s: b'a LOGIN "alice ' + s + b"\r\n",
    "no quote at the beginning": lambda s: b"a LOGIN alice " + s + b'"\r\n',
    "no quote at the name's beginning": lambda s: b'a LOGIN alice" ' + s + b"\r\n",
    "quotes cross": lambda s: b'a LOGIN "alice "' + s + b'" x"\r\n',
    "quoted in between": lambda s: b'a LOGIN alice"' + s + b'"x\r\n',
    "no blank": lambda s: b'a LOGIN "alice""' + s + b'"\r\n',
    "a parenthesis": lambda s: b"a LOGIN alice (" + s + b")\r\n",
    "a brace": lambda s: b"a LOGIN alice {x" + s + b"}\r\n",
    "a literal in between": lambda s: b"a LOGIN alice {3} " + s + b"\r\n",
    "NUL": lambda s: b"a LOGIN alice \0" + s + b"\r\n",
    "NUL in LOGIN": lambda s: b"a LOGIN\0 alice " + s + b"\r\n",
    "a vertical tab": lambda s: b"a LOGIN\valice " + s + b"\r\n",
    "a bare CR": lambda s: b"a LOGIN alice x\r" + s + b"\r\n",
    "a bare CR behind a command": lambda s: b"a NOOP\rb LOGIN alice " + s + b"\r\n",
    "a bare CR behind ID": lambda s: b"a ID NIL\rb LOGIN alice " + s + b"\r\n",
    "a blank in front": lambda s: b"  a LOGIN alice " + s + b"\r\n",
    "XLOGIN": lambda s: b"a XLOGIN alice " + s + b"\r\n",
    "an overlong line": lambda s: b"a LOGIN alice " + s + b"x" * LONG + s + b"\r\n",
    "an overlong name": lambda s: b"a LOGIN " + b"x" * LONG + b" " + s + b"\r\n",
    "an overlong line with a literal": lambda s: b"a LOGIN alice" + b" " * LONG + _literal(s) + b"\r\n",
    "a name of several lines": lambda s: b"a LOGIN " + _literal(b"x\r\nb LOGIN alice " + s + b"\r\n") + b" y\r\n",
    "a long literal as the name": lambda s: b"a LOGIN " + _literal(s + b"x" * 2000) + b" y\r\n",
    # in the company of other commands
    "behind a command": lambda s: b"a NOOP\r\nb LOGIN alice " + s + b"\r\n",
    "behind a failed login": lambda s: b"a LOGIN alice x" + s + b"\r\nb LOGIN alice " + s + b"\r\n",
    "behind a literal+": lambda s: b"a FOO " + _literal(b"x") + b"\r\nb LOGIN alice " + s + b"\r\n",
    "in the literal of a command": lambda s: b"a NOOP " + _literal(b"b LOGIN alice " + s + b"\r\n") + b"\r\n",
    "in the literal of ID": lambda s: b'a ID ("name" ' + _literal(b"b LOGIN alice " + s + b"\r\n") + b")\r\n",
    "behind IDLE": lambda s: b"a IDLE\r\nDONE\r\nb LOGIN alice " + s + b"\r\n",
    "in IDLE": lambda s: b"a IDLE\r\n" + s + b"\r\n",
    "behind STARTTLS": lambda s: b"a STARTTLS\r\nb LOGIN alice " + s + b"\r\n",
    "like TLS behind STARTTLS": lambda s: b"a STARTTLS\r\n\x16\x03\r\nb LOGIN alice " + s + b"\r\n",
    "behind COMPRESS": lambda s: b"a COMPRESS DEFLATE\r\nb LOGIN alice " + s + b"\r\n",
    "a field of ID": lambda s: b'a ID ("name" "x" "X-Password" "' + s + b'")\r\n',
    "arguments where there are none": lambda s: b"a CAPABILITY " + s + b"\r\n",
    # AUTHENTICATE
    "PLAIN": lambda s: b"a AUTHENTICATE PLAIN\r\n" + _plain(s) + b"\r\n",
    "PLAIN at once": lambda s: b"a AUTHENTICATE PLAIN " + _plain(s) + b"\r\n",
    "plain": lambda s: b"a authenticate plain " + _plain(s) + b"\r\n",
    "PLAIN, tabs": lambda s: b"a\tAUTHENTICATE\tPLAIN\t" + _plain(s) + b"\t\r\n",
    "PLAIN, another alignment": lambda s: b"a AUTHENTICATE PLAIN " + _plain(s, b"bob") + b"\r\n",
    "PLAIN, a third alignment": lambda s: b"a AUTHENTICATE PLAIN\r\n" + _plain(s, b"al") + b"\r\n",
    "PLAIN, no padding": lambda s: b"a AUTHENTICATE PLAIN " + _plain(s).rstrip(b"=") + b"\r\n",
    "PLAIN, no base64": lambda s: b"a AUTHENTICATE PLAIN\r\n\0alice\0" + s + b"=\r\n",
    "PLAIN, no base64, at once": lambda s: b"a AUTHENTICATE PLAIN alice " + s + b"=\r\n",
    "PLAIN, two responses": lambda s: b"a AUTHENTICATE PLAIN " + _plain(b"x") + b" " + _plain(s) + b"\r\n",
    "PLAIN, the response is broken": lambda s: b"a AUTHENTICATE PLAIN\r\n" + _broken(s) + b"\r\n",
    "PLAIN, a literal": lambda s: b"a AUTHENTICATE PLAIN " + _literal(_plain(s)) + b"\r\n",
    "PLAIN, a sync literal": lambda s: b"a AUTHENTICATE PLAIN " + _literal(_plain(s), b"") + b"\r\n",
    "PLAIN, overlong": lambda s: b"a AUTHENTICATE PLAIN\r\n" + _plain(s + b"x" * LONG) + b"\r\n",
    "PLAIN, overlong at once": lambda s: b"a AUTHENTICATE PLAIN " + _plain(s + b"x" * LONG) + b"\r\n",
    "the mechanism is a literal": lambda s: b"a AUTHENTICATE " + _literal(b"PLAIN") + b" " + _plain(s) + b"\r\n",
    "the mechanism is quoted": lambda s: b'a AUTHENTICATE "PLAIN" ' + _plain(s) + b"\r\n",
    "no mechanism": lambda s: b"a AUTHENTICATE " + _plain(s) + b"\r\n",
    "AUTHENTICATE without a tag": lambda s: b"AUTHENTICATE PLAIN " + _plain(s) + b"\r\n",
    "empty, then PLAIN": lambda s: b"a AUTHENTICATE PLAIN =\r\n" + _plain(s) + b"\r\n",
    "LOGIN in SASL": lambda s: b"a AUTHENTICATE LOGIN\r\n" + _b64(b"alice") + b"\r\n" + _b64(s) + b"\r\n",
    "LOGIN in SASL, at once": lambda s: b"a AUTHENTICATE LOGIN " + _b64(b"alice") + b"\r\n" + _b64(s) + b"\r\n",
    "XOAUTH2": lambda s: b"a AUTHENTICATE XOAUTH2 " + _b64(b"user=a\1auth=Bearer " + s + b"\1\1") + b"\r\n",
    "OAUTHBEARER": lambda s: b"a AUTHENTICATE OAUTHBEARER\r\n" + _b64(b"n,a=a,\1auth=Bearer " + s + b"\1\1") + b"\r\n",
    "CRAM-MD5": lambda s: b"a AUTHENTICATE CRAM-MD5\r\n" + _b64(b"alice " + s) + b"\r\n",
    "DIGEST-MD5": lambda s: b"a AUTHENTICATE DIGEST-MD5\r\n" + _b64(b'username="a",response=' + s) + b"\r\n\r\n",
    "SCRAM": lambda s: b"a AUTHENTICATE SCRAM-SHA-1 " + _b64(b"n,,n=a,r=x") + b"\r\n" + _b64(b"p=" + s) + b"\r\n",
    "NTLM": lambda s: b"a AUTHENTICATE NTLM\r\n" + _b64(b"NTLMSSP\0\1") + b"\r\n" + _b64(b"NTLMSSP\0\3" + s) + b"\r\n",
    "GSSAPI": lambda s: b"a AUTHENTICATE GSSAPI\r\n" + _b64(s) + b"\r\n\r\n" + _b64(b"xx" + s) + b"\r\n",
    "a mechanism nobody knows": lambda s: b"a AUTHENTICATE X-NEW " + _b64(s) + b"\r\n" + _b64(b"x" + s) + b"\r\n",
    "a mechanism in hex": lambda s: b"a AUTHENTICATE X-HEX\r\n" + s.hex().encode() + b"\r\n",
    "cancelled, then LOGIN": lambda s: b"a AUTHENTICATE PLAIN\r\n*\r\nb LOGIN alice " + s + b"\r\n",
    "cancelled too late": lambda s: b"a AUTHENTICATE LOGIN\r\n" + _b64(b"a") + b"\r\n" + _b64(s) + b"\r\n*\r\n",
    "two dialogues": lambda s: WAYS["PLAIN at once"](s) + b"b AUTHENTICATE PLAIN\r\n" + _plain(s) + b"\r\n",
    # the connection ends too early
    "ends in the atom": lambda s: b"a LOGIN alice " + s,
    "ends in the quoted": lambda s: b'a LOGIN alice "' + s,
    "ends in the literal": lambda s: b"a LOGIN alice {100+}\r\n" + s,
    "ends in the sync literal": lambda s: b"a LOGIN alice {100}\r\n" + s,
    "ends in the name": lambda s: b"a LOGIN " + s,
    "ends in the literal of the name": lambda s: b"a LOGIN {100+}\r\n" + s,
    "ends behind the literal of the name": lambda s: b"a LOGIN " + _literal(s),
    "ends in the response": lambda s: b"a AUTHENTICATE PLAIN\r\n" + _plain(s),
    "ends in the initial response": lambda s: b"a AUTHENTICATE PLAIN " + _plain(s),
    "ends in a stray line": lambda s: s,
}  # fmt: skip
