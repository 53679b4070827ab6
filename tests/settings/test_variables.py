"""Variables in a directory: the values Dovecot 2.3.19.1 gives, and names that stay where they belong.

The expected values for alice@example.com were taken from a running Dovecot, except where a comment says that we differ.
"""

from __future__ import annotations

import os
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rawlog.errors import ConfigError
from rawlog.settings.variables import LONG_NAMES, SHORT_NAMES, Template, check, safe_component

ALICE = {
    "user": "alice@example.com",
    "home": "/lab/home/alice@example.com",
    "service": "imap",
    "pid": "24231",
    "uid": "5000",
    "gid": "5000",
    "rip": "127.0.0.1",
    "lip": "127.0.0.1",
    "session": "2DJnu+RgqOp/AAAB",
    "hostname": "lab.example.com",
}

FROM_DOVECOT = {
    "%u": "alice@example.com",
    "%n": "alice",
    "%d": "example.com",
    "%h": "/lab/home/alice@example.com",
    "%s": "imap",
    "%p": "24231",
    "%r": "127.0.0.1",
    "%l": "127.0.0.1",
    "%i": "5000",
    "%{user}": "alice@example.com",
    "%{username}": "alice",
    "%{domain}": "example.com",
    "%{home}": "/lab/home/alice@example.com",
    "%{service}": "imap",
    "%{pid}": "24231",
    "%{uid}": "5000",
    "%{gid}": "5000",
    "%{rip}": "127.0.0.1",
    "%{lip}": "127.0.0.1",
    "%{hostname}": "lab.example.com",
    "%{auth_user}": "alice@example.com",
    "%{auth_username}": "alice",
    "%{auth_domain}": "example.com",
    "%%": "%",
    "%Lu": "alice@example.com",
    "%Uu": "ALICE@EXAMPLE.COM",
    "%LUu": "ALICE@EXAMPLE.COM",
    "%Ru": "moc.elpmaxe@ecila",
    "%L{user}": "alice@example.com",
    "%Mu": "c160f8cc69a4f0bf2b0362752353d060",
    "%1Mu": "c",
    "%8Mu": "c160f8cc",
    "%1.Mu": "160f8cc69a4f0bf2b0362752353d060",
    "%-2.Mu": "60",
    "%2MRu": "06",
    "%Hu": "2481bd",
    "%100Hu": "9",
    "%8.100Hu": "00000009",
    "%0.-3Hu": "2481bd",
    "%MHu": "49c8c90",
    "%HMu": "e42535ab8a53cba7ae5d2c15d777d650",
    "%3HMu": "cfcd208495d565ef66e7dff9f98764da",
    "%Nu": "69a4f0bf",
    "%8Nu": "7",
    "%100Nu": "47",
    "%7.100Nu": "0000047",
    "%3.1n": "c",
    "%0.3u": "ali",
    "%-3u": "ali",
    "%-0.3u": "ali",
    "%-2{user}": "al",
    "%2.2{user}": "ic",
    "%-3.2u": "co",
    "%-10.-3u": "xample.",
    "%-30.3n": "ali",
    "%0.-3u": "alice@example.",
    "%1.-3u": "lice@example.",
    "%0.-30u": "alice@example.com",
    "%03u": "alice@example.com",
    "%020u": "000alice@example.com",
    "%0.020n": "000000000000000alice",
    "%-3.05u": "00com",
    "%{md5:user}": "c160f8cc69a4f0bf2b0362752353d060",
    "%{md5;truncate=8:user}": "c1",
    "%{md5;truncate=12:user}": "0c16",
    "%{md5;truncate=16:user}": "c160",
    "%{md5;truncate=9999:user}": "c160f8cc69a4f0bf2b0362752353d060",
    "%{sha1:user}": "fc2398a73dd54d6237c4fdb58fd7d75347cf5af3",
    "%{sha3-256:user}": "18cfe3debfc85e80d4a66a8be182342e13d3d23b8b65573783f9094fb084770b",
    "%{sha512;truncate=8:user}": "28",
}


@pytest.mark.parametrize(("text", "value"), FROM_DOVECOT.items(), ids=list(FROM_DOVECOT))
def test_values_as_in_dovecot(text: str, value: str) -> None:
    assert Template(f"/lab/raw/ro/X{text}X").expand(ALICE) == f"/lab/raw/ro/X{value}X"


def test_a_slash_in_a_session_makes_no_directory() -> None:  # in Dovecot it does, so that nothing is recorded
    assert Template("/raw/%{session}").expand(ALICE) == "/raw/2DJnu+RgqOp=2FAAAB"


@pytest.mark.parametrize("text", ["%u", "%{session}", "%30.3n"])
def test_nothing_is_one_sign(text: str) -> None:  # in Dovecot nothing, so that all such users share a directory
    assert Template(f"/raw/{text}").expand({"user": ""}) == "/raw/="


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAWLOG_TEST", "a/b")
    monkeypatch.delenv("RAWLOG_NONE", raising=False)
    assert Template("/raw/%{env:RAWLOG_TEST}").expand({}) == "/raw/a=2Fb"
    assert Template("/raw/X%{env:RAWLOG_NONE}X").expand({}) == "/raw/X=X"


def test_what_follows_from_other_values() -> None:
    values = {"user": "a@b@c", "auth_user": "master@x"}
    assert Template("/%n/%d/%{auth_username}/%{auth_domain}").expand(values) == "/a/b@c/master/x"
    assert Template("/%p/%{hostname}").expand({}) == f"/{os.getpid()}/{safe_component(os.uname().nodename.encode())}"


def test_bytes_that_are_no_text() -> None:
    assert Template("/raw/%u").expand({"user": b"\xff"}) == "/raw/=FF"
    assert Template("/raw/%u").expand({"user": "\udcff"}) == "/raw/=FF"
    assert os.fsencode(Template("%h/rawlog").expand({"home": b"/home/\xff"})) == b"/home/\xff/rawlog"


def test_names_that_are_needed() -> None:
    assert Template("%h/%Lu/%{md5:domain}/%%").names == {"home", "user", "domain"}
    assert Template("/var/log").names == set()


UNKNOWN_IN_DOVECOT = """
    %a %b %c %k %m %w %e %t %G %{rport} %{lport} %{real_rip} %{real_lip} %{real_rport} %{userdb:home} %{local_name}
    %{orig_user} %{login_user} %{client_id} %{hexpid} %{system:os-version} %{mailbox} %{owner_user}
    %{encoded_username} %{nosuch} %{if;%s;==;imap;y;n} %L2u %{lower:user}
"""


@pytest.mark.parametrize(
    "text", [*UNKNOWN_IN_DOVECOT.split(), "%", "%{user", "%{}", "%1", "%{u}", "%Zu", "%{md5;rounds=2:user}"]
)
def test_unknown_variables_are_errors_when_loading(text: str) -> None:
    with pytest.raises(ConfigError) as error:
        check(f"/raw/{text}")
    assert repr(f"/raw/{text}") in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("/raw/%{usr}", "did you mean %{user}?"),
        ("/raw/%{usernam}", "did you mean %{username}?"),
        ("/raw/%{user | lower}", "did you mean %{user}?"),
        ("/raw/%a", "there are %u %n %d"),
        ("/raw/50%", "write %% for a percent sign"),
        ("/raw/%Zu", "unknown modifier Z; there are L U R M H N"),
        ("/raw/%{crc32:user}", "there are md5 sha1"),
        ("/raw/%{md5;salt=x:user}", "there is truncate=BITS"),
        ("~/rawlog", "begin it with / or with %h/"),
        ("rawlog/%u", "begin it with / or with %h/"),
        ("%u/rawlog", "begin it with / or with %h/"),
        ("%Lh/rawlog", "begin it with / or with %h/"),
        ("tcp:127.0.0.1:514", "begin it with / or with %h/"),
        ("", "begin it with / or with %h/"),
        ("/raw\0/%u", "can't hold a NUL byte"),
    ],
)
def test_messages_say_what_to_do(text: str, advice: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(advice)):
        check(text)


def test_an_unknown_name_is_shown_on_one_line() -> None:
    with pytest.raises(ConfigError, match=r"unknown variable %\{use\\nr\}; did you mean %\{user\}\?"):
        Template("/a/%{use\nr}")


def test_a_width_beyond_reason_is_none() -> None:
    assert Template("/a/%010u").expand({"user": "bob"}) == "/a/0000000bob"
    with pytest.raises(ConfigError, match="no variable after the %"):
        Template("/a/%0" + "9" * 30 + "u")


@pytest.mark.parametrize("text", ["/raw", "/raw/%u", "%h", "%h/rawlog", "%{home}/rawlog", "/%%"])
def test_good_templates(text: str) -> None:
    check(text)


def test_every_name_is_known() -> None:
    for name in LONG_NAMES:
        check(f"/%{{{name}}}")
    for letter in SHORT_NAMES:
        check(f"/%{letter}")


@pytest.mark.parametrize("home", [None, "", "relative", "~", "/home/\0alice"])
def test_no_usable_home(home: str | None) -> None:
    values = {"user": "alice"} if home is None else {"user": "alice", "home": home}
    with pytest.raises(ConfigError, match="let userdb return"):
        Template("%h/rawlog").expand(values)
    assert Template("/raw/%u").expand(values) == "/raw/alice"


def test_a_changed_home_is_a_value_like_any_other() -> None:
    assert Template("/raw/%Lh").expand({"home": "/Home/A"}) == "/raw/=2Fhome=2Fa"


@pytest.mark.parametrize(
    ("name", "component"),
    [
        ("", "="),
        (".", "=2E"),
        ("..", "=2E."),
        ("...", "=2E.."),
        ("a..b", "a..b"),
        ("../../etc", "=2E.=2F..=2Fetc"),
        ("=", "=3D"),
        ("=2E", "=3D2E"),
        ("%h", "=25h"),
        ("%u", "=25u"),
        ("tcp:host:1", "tcp=3Ahost=3A1"),
        ("a\0b", "a=00b"),
        ("A b", "A=20b"),
        ("Alice", "Alice"),
        ("alice+tag@x_y-z.org", "alice+tag@x_y-z.org"),
        ("é", "=C3=A9"),
        ("e\N{COMBINING ACUTE ACCENT}", "e=CC=81"),
        ("\x1b[2J", "=1B=5B2J"),
        ("~", "=7E"),
    ],
)
def test_components(name: str, component: str) -> None:
    assert Template("/raw/%u").expand({"user": name}) == f"/raw/{component}"


def test_long_names_keep_their_beginning() -> None:
    first, second = safe_component(b"a" * 10_000), safe_component(b"a" * 9_999 + b"b")
    assert first != second
    assert re.fullmatch("a{160}=~[0-9a-f]{16}", first)
    assert safe_component(b"a" * 200) == "a" * 200
    assert re.fullmatch("a{160}=~[0-9a-f]{16}", safe_component(b"a" * 201))
    assert re.fullmatch("(=2F){53}==~[0-9a-f]{16}", safe_component(b"/" * 10_000))


NAMES = st.one_of(
    st.binary(max_size=300),
    st.text(alphabet="./=~%0129AFaf\0é", max_size=120).map(lambda text: text.encode()),
)


@given(NAMES)
@example(b"..")
@example(b"." * 300)
@example(b"\xff" * 10_000)
def test_one_component_whatever_the_name(name: bytes) -> None:
    path = Template("/raw/%u").expand({"user": name})
    assert path.startswith("/raw/")
    component = path.removeprefix("/raw/")
    assert re.fullmatch(r"[A-Za-z0-9_@+=~-][A-Za-z0-9_@+.=~-]*", component)
    assert len(component) <= 255
    assert os.path.normpath(path) == path


@given(NAMES, NAMES)
@example(b"", b"=")
@example(b"=2E", b".")
@example(b"a" * 160, b"a" * 161)
def test_different_names_never_meet(first: bytes, second: bytes) -> None:
    assert (safe_component(first) == safe_component(second)) == (first == second)


def decoded(component: str) -> bytes:
    """What a short component stands for: a second way to see that nothing is lost."""
    plain = "" if component == "=" else component
    return re.sub(rb"=([0-9A-F]{2})", lambda found: bytes([int(found[1], 16)]), plain.encode())


@given(st.binary(max_size=66))
def test_short_names_can_be_read_back(name: bytes) -> None:
    assert decoded(safe_component(name)) == name
