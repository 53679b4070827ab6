"""ManageSieve: strings, literals, SASL, and the capabilities behind STARTTLS."""

from __future__ import annotations

from tests.support.exchanges import paired_text, short


def test_scripts() -> None:
    found = paired_text(
        "managesieve",
        """
        S: "IMPLEMENTATION" "x"
        S: OK "ready"
        C: PUTSCRIPT "a" {7+}
        C| keep;
        C:
        S: NO {7}
        S| error
        S:
        C: LISTSCRIPTS
        S: "one" ACTIVE
        S: {5}
        S> three
        S:
        S: OK
        C: LOGOUT
        S: OK "bye"
        """,
    )
    assert short(found) == ["greeting OK", "PUTSCRIPT NO", "LISTSCRIPTS OK", "LOGOUT OK"]
    assert (found[1].sent, found[1].received) == (29, 17)
    assert found[1].command == b'PUTSCRIPT "a" {7+}'
    assert found[1].answer == b"NO {7}"
    assert found[2].received == 30


def test_a_sasl_dialogue_is_one_exchange() -> None:
    found = paired_text(
        "managesieve",
        """
        S: OK "ready"
        C: AUTHENTICATE "LOGIN"
        S: {12}
        S| VXNlcm5hbWU6
        S:
        C: "YWxpY2U="
        S: "UGFzc3dvcmQ6"
        C: {8+}
        C> c2VjcmV0
        C:
        S: OK
        C: NOOP
        S: OK
        """,
    )
    assert short(found) == ["greeting OK", "AUTHENTICATE OK", "NOOP OK"]


def test_the_capabilities_come_again_behind_starttls_or_not() -> None:
    again = 'S: OK "go"\nS: "VERSION" "1.0"\nS: OK "tls"\nC: NOOP\nS: OK'
    assert short(paired_text("managesieve", f"S: OK\nC: STARTTLS\n{again}")) == [
        "greeting OK",
        "STARTTLS OK",
        "greeting OK",
        "NOOP OK",
    ]
    assert short(paired_text("managesieve", 'S: OK\nC: STARTTLS\nS: OK "go"\nC: NOOP\nS: OK')) == [
        "greeting OK",
        "STARTTLS OK",
        "NOOP OK",
    ]
