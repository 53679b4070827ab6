"""Loading: which value is in force, references, and forty files with one thing wrong in each."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawlog.errors import ConfigError
from rawlog.settings.backend import Backend
from rawlog.settings.configuration import Configuration
from rawlog.settings.loader import load, loads
from rawlog.settings.model import DEFAULTS, PROTOCOLS
from rawlog.settings.userdb import UserRecord

STOCK = Path("/etc/dovecot/dovecot.conf")


def dirs(configuration: Configuration) -> dict[str, str]:
    return {
        protocol: settings.rawlog_dir for protocol, settings in configuration.protocols.items() if protocol != "lmtp"
    }


def test_nothing_gives_the_defaults() -> None:
    configuration = loads("")
    assert configuration.settings == DEFAULTS
    assert set(configuration.protocols) == set(PROTOCOLS)
    assert all(settings == DEFAULTS for settings in configuration.protocols.values())
    assert (configuration.warnings, configuration.ignored, configuration.userdbs) == ((), (), ())


@pytest.mark.parametrize(
    ("text", "imap", "pop3"),
    [
        ("rawlog_dir = /a", "/a", "/a"),
        ("rawlog_dir = /a\nrawlog_dir = /b", "/b", "/b"),
        ("protocol imap { rawlog_dir = /i }\nrawlog_dir = /a", "/i", "/a"),
        ("rawlog_dir = /a\nprotocol imap {\n  rawlog_dir =\n}", "", "/a"),
        ("protocol !imap { rawlog_dir = /n }", "", "/n"),
        ("protocol pop3 { rawlog_dir = /p }\nprotocol !imap { rawlog_dir = /n }\nrawlog_dir = /a", "/a", "/p"),
        ("protocol imap { rawlog_dir = /i }\nprotocol imap { rawlog_dir = /j }", "/j", ""),
    ],
)
def test_the_most_specific_wins(text: str, imap: str, pop3: str) -> None:
    found = dirs(loads(text))
    assert (found["imap"], found["pop3"]) == (imap, pop3)


def test_a_backend_belongs_to_its_protocol() -> None:
    configuration = loads("protocol sieve { rawlog_backend = unix:/run/sieve }\nssl = no")
    assert configuration.protocols["sieve"].rawlog_backend == Backend("managesieve", unix_path="/run/sieve")
    assert configuration.protocols["imap"].rawlog_backend is None
    assert configuration.settings.rawlog_backend is None


SNIPPETS = [
    "  protocol imap {\n    rawlog_dir = /tmp/rawlog/%u\n    # do not use ~\n    #rawlog_dir = %h/rawlog\n}\n",
    "  userdb {\n     # ...\n     default_fields = home=/home/%u\n     # or = home=/tmp/temp-home\n}\n",
    "import_environment=$import_environment DEBUG=1\n",
    "service imap {\n  executable = imap postlogin\n}\nservice pop3 {\n  executable = pop3 postlogin\n}\n",
    "service postlogin {\n  executable = script-login -d rawlog\n  unix_listener postlogin {\n }\n}\n",
    "service imap-login {\n  executable = imap-login -R rawlogs\n}\n",
]


def test_each_snippet_of_dovecots_page_alone() -> None:
    found = [loads(text) for text in SNIPPETS]
    assert found[0].protocols["imap"].rawlog_dir == "/tmp/rawlog/%u"
    assert found[1].userdb().lookup("a@b") == UserRecord(
        "a@b", home="/home/a@b", fields={"user": "a@b", "home": "/home/a@b"}
    )
    assert found[2].settings.debug
    assert found[3].services["pop3"].postlogin_socket == "postlogin"
    assert found[4].postlogins()[0].door.listen.unix_path == "/run/dovecot/postlogin"
    assert found[5].services["imap-login"].prelogin_directory == "rawlogs"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import_environment=$import_environment DEBUG=1", ("TZ", "DEBUG=1")),
        ("import_environment = A\nimport_environment = B $import_environment", ("B", "A")),
        ('import_environment = "$import_environment"', ("$import_environment",)),
        ("import_environment = x$import_environment $ENV:RAWLOG_TEST", ("x$import_environment", "here")),
        ("import_environment = $default_login_user", ("dovenull",)),
        ("default_login_user = me\nimport_environment = $default_login_user", ("me",)),
    ],
)
def test_references(text: str, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAWLOG_TEST", "here")
    assert loads(text).settings.import_environment == words


def test_a_reference_in_a_protocol_takes_its_own_value_first() -> None:
    text = "mail_home = /a/%u\nprotocol imap {\n mail_home = /i/%u\n rawlog_dir = $mail_home\n}\n"
    text += "protocol pop3 { rawlog_dir = $mail_home }\n"
    found = dirs(loads(text))
    assert (found["imap"], found["pop3"]) == ("/i/%u", "/a/%u")


def test_values_from_files(tmp_path: Path) -> None:
    (tmp_path / "realm").write_text("example.com\n")
    (tmp_path / "x.conf").write_text("auth_default_realm = <realm\nssl_cert = <cert.pem\n")
    settings = load(str(tmp_path / "x.conf")).settings
    assert settings.auth_default_realm == "example.com"
    assert settings.ssl_cert == str(tmp_path / "cert.pem")


def test_dovecots_other_settings_are_kept_aside() -> None:
    text = """\
mail_location = maildir:~/Maildir
mail_plugins = $mail_plugins quota
plugin {
  quota = maildir:$nothing
}
namespace inbox {
  mailbox Drafts {
    auto = subscribe
  }
}
service auth {
  unix_listener auth-userdb {
    user = $default_internal_user
  }
  user = root
}
protocol lda { mail_plugins = sieve }
"""
    configuration = loads(text, "f")
    assert configuration.warnings == ()
    assert [(section, item.key, str(item.place)) for section, item in configuration.ignored] == [
        ("", "mail_location", "f:1"),
        ("", "mail_plugins", "f:2"),
        ("plugin", "quota", "f:4"),
        ("namespace inbox", "auto", "f:8"),
        ("protocol lda", "mail_plugins", "f:17"),
        ("service auth", "user", "f:15"),
    ]


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (
            "protocol lmtp { rawlog_dir = /x }",
            "f:1: rawlog_dir has no effect in protocol lmtp: "
            "LMTP is recorded by lmtp_rawlog_dir: write lmtp_rawlog_dir",
        ),
        (
            "protocol imap { base_dir = /x }",
            "f:1: base_dir has no effect in protocol imap: "
            "it has one value for the whole service: move it to the top level",
        ),
        (
            "protocol imap { rawlog_smtp_bare_lf = pass }",
            "f:1: rawlog_smtp_bare_lf has no effect in protocol imap: "
            "it means something for lmtp and submission only: remove it",
        ),
        (
            "remote 10.0.0.0/8 {\n  rawlog_dir = /x\n}",
            "f:2: rawlog_dir has no effect in remote 10.0.0.0/8: such blocks are not supported: "
            "write it at the top level or in protocol X {",
        ),
        (
            "local_name mail.example.com {\n  protocol imap { ssl_cert = </x }\n}",
            "f:2: ssl_cert has no effect in local_name mail.example.com: such blocks are not supported: "
            "write it at the top level or in protocol X {",
        ),
        ("mail_home = /x#y", "f:1: '#' begins a comment: put a blank before it, or quote the value"),
    ],
)
def test_what_has_no_effect_is_a_warning(text: str, warning: str) -> None:
    configuration = loads(text, "f")
    assert configuration.warnings == (warning,)
    assert dirs(configuration) == dict.fromkeys(dirs(configuration), "")


# One thing wrong in each; the line; what the message holds, which always ends in what to do.
BROKEN = [
    ("rawlog_dirr = /x", 1, "unknown setting 'rawlog_dirr': did you mean rawlog_dir?"),
    ("Rawlog_Dir = /x", 1, "unknown setting 'Rawlog_Dir': did you mean rawlog_dir?"),
    ("\n\nxyzzy = 1", 3, "unknown setting 'xyzzy': remove it, or correct its name"),
    ("service = imap", 1, "'service' is a section, no setting: write service NAME {"),
    ("rawlog_dir {\n}", 1, "unknown section 'rawlog_dir': it is a setting: write rawlog_dir = VALUE"),
    ("servce imap {\n}", 1, "unknown section 'servce': did you mean service?"),
    ("service imap {\n  executible = imap\n}", 2, "unknown setting 'executible' in service: did you mean executable?"),
    (
        "service a {\n  unix_listner b {\n  }\n}",
        2,
        "unknown section 'unix_listner' in service a: did you mean unix_listener?",
    ),
    (
        "service a {\n  inet_listener b {\n    prt = 1\n  }\n}",
        3,
        "unknown setting 'prt' in service { inet_listener: did you",
    ),
    ("remote 10.0.0.1 {\n  rawlog_dirr = /x\n}", 2, "unknown setting 'rawlog_dirr': did you mean rawlog_dir?"),
    ("userdb {\n  drivr = static\n}", 2, "unknown setting 'drivr' in userdb: did you mean driver?"),
    (
        "dovecot_config_version = 2.4.0",
        1,
        "this is a file for Dovecot 2.4, whose names differ: write a file with the names",
    ),
    ("rawlog_dir /x", 1, "'=' is missing after 'rawlog_dir': write rawlog_dir = VALUE"),
    (
        "service imap {\n  executable = imap\n",
        1,
        "'}' is missing: the section 'service imap {' that starts here is never",
    ),
    ("}\n", 1, "'}' closes nothing: remove it, or open the section above it"),
    ('mail_home = "/x', 1, 'mail_home: the quote " is never closed: add " at the end of the value'),
    ("!include no/such.conf", 1, "no such file: correct the name, or write !include_try"),
    ("ssl = maybe", 1, "ssl = maybe: give yes, no or required"),
    ("disable_plaintext_auth = true", 1, "disable_plaintext_auth = true: give yes or no"),
    ("rawlog_keep = 7", 1, "rawlog_keep = 7: the unit is missing: write 7 secs, 7 mins, 7 hours or 7 days"),
    ("rawlog_max_session_size = much", 1, "rawlog_max_session_size = much: give a number and a unit"),
    ("rawlog_workers = -1", 1, "rawlog_workers = -1: give auto, or a number from 1 to 999"),
    ("rawlog_on_error = ignore", 1, "rawlog_on_error = ignore: give open, pause or strict"),
    ("haproxy_trusted_networks = 10.0.0.0/33", 1, "'10.0.0.0/33' is no address and no network: write 10.0.0.1 or"),
    ("listen = 10.0.0.999", 1, "listen: an address: '10.0.0.999' is not an IPv4 address: four numbers"),
    (
        "protocols = imap smtp",
        1,
        "protocols = imap smtp: 'smtp' is no protocol here: there are imap, lmtp, pop3, sieve,",
    ),
    ("protocol smtp {\n}", 1, "unknown protocol 'smtp': write protocol submission"),
    ("protocol impa {\n}", 1, "unknown protocol 'impa': did you mean imap?"),
    ("protocol {\n}", 1, "the protocol is missing: write protocol imap {"),
    ("protocol imap {\n  protocol pop3 {\n  }\n}", 2, "protocol pop3 in protocol imap: close that section before it"),
    ("protocol imap {\n  remote ::1 {\n  }\n}", 2, "remote ::1 in protocol imap: write remote ::1 { protocol imap {"),
    ("protocol imap {\n  service x {\n  }\n}", 2, "service x in protocol imap: move it out of that section"),
    ("remote 10.0.0.0/99 {\n}", 1, "remote 10.0.0.0/99: '10.0.0.0/99' is no address and no network"),
    ("remote {\n}", 1, "remote what? write remote ADDRESS {"),
    ("rawlog_backend = imap://h", 1, "a backend belongs to one protocol: write it in protocol imap { } or another"),
    ("protocol pop3 {\n  rawlog_backend = imap://h\n}", 2, "speaks imap, but pop3 is wanted here: use one of pop3,"),
    (
        "protocol imap { rawlog_backend = imaps://h:x }",
        1,
        "rawlog_backend: backend 'imaps://h:x': 'x' is not a port: give",
    ),
    ("rawlog_dir = ~/rawlog", 1, "not an absolute path; begin it with / or with %h/"),
    ("rawlog_dir = /var/rawlog/%q", 1, "rawlog_dir: '/var/rawlog/%q': unknown variable %q; there are"),
    ("rawlog_dir = tcp:collector", 1, "the port of the collector is missing: write tcp:HOST:PORT"),
    ("lmtp_rawlog_dir = /x/%u", 1, "an LMTP conversation has no user: write a directory without %u, %n, %d, %h"),
    ("base_dir = run", 1, "base_dir = run: give an absolute path, beginning with '/'"),
    ("ssl_cert = /etc/c.pem", 1, "ssl_cert = /etc/c.pem: '<' is missing before the file's name: write </etc/c.pem"),
    ("mail_home = $base_dir/x", 1, "mail_home: $base_dir/x is no setting: write $NAME and a blank"),
    ("mail_home = $mail_location", 1, "mail_home: $mail_location is not set in this file: write its value instead"),
    ("mail_home = </no/such/file", 1, "mail_home = </no/such/file: No such file or directory: name a file that can be"),
    (
        "service imap-login {\n  inet_listener x {\n    port = imap\n  }\n}",
        3,
        "port = imap: give a port: a number up to",
    ),
    ("service x {\n  executable = script-login -d rawlog -x\n}", 2, "option -x is unknown: rawlog takes -b, -t, -I"),
    ("service {\n}", 1, "the service's name is missing: write service imap {"),
    ("service a {\n  unix_listener {\n  }\n}", 2, "the socket's name is missing: write unix_listener NAME {"),
    ("service a {\n  unix_listener b {\n    mode = rw\n  }\n}", 3, "mode = rw: give an octal mode, as in 0660"),
    ("userdb {\n  driver = pam\n}", 2, "driver = pam: there are passwd, passwd-file, prefetch, sql, static"),
    ("userdb {\n  driver = static\n  args = home=/h/%q\n}", 1, "userdb: '/h/%q': unknown variable %q"),
    ("userdb {\n  driver = passwd-file\n}", 1, "userdb: args: give the absolute path of the file"),
    ("auth_username_format = %s", 1, "auth_username_format: '%s': %s is not known while a user is looked up"),
]


@pytest.mark.parametrize(("text", "line", "words"), BROKEN, ids=[text.replace("\n", "|")[:40] for text, _, _ in BROKEN])
def test_a_broken_file_is_answered_with_the_line_and_what_to_do(text: str, line: int, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        loads(text, "rawlog.conf")
    message = str(error.value)
    assert message.startswith(f"rawlog.conf:{line}: ")
    assert words in message
    assert message.isprintable()
    assert len(message) < 300


@pytest.mark.parametrize(
    "text", ["ssl = @", "@ = x", "@", "@ {\n}", "x {", "} @", "!@", "service @ { prt = 1 }", "a { @"]
)
@pytest.mark.parametrize("long", ["x" * 60000, "x y " * 15000])
def test_long_texts_are_cut_in_messages(text: str, long: str) -> None:
    with pytest.raises(ConfigError) as error:
        loads(text.replace("@", long))
    assert len(str(error.value)) < 300


def test_the_ignored_settings_of_a_listener_name_their_service() -> None:
    (ignored,) = loads("service imap-login {\n  inet_listener imap {\n    reuse_port = yes\n  }\n}").ignored
    assert ignored[0] == "service imap-login inet_listener imap"


def test_files_as_values_have_a_limit_and_are_text(tmp_path: Path) -> None:
    (tmp_path / "large").write_text("x" * 70000)
    (tmp_path / "binary").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="larger than 65536 bytes: is it the right file"):
        loads(f"mail_home = <{tmp_path}/large")
    with pytest.raises(ConfigError, match="is no text in UTF-8: name a file that can be read"):
        loads(f"mail_home = <{tmp_path}/binary")


WORDS = 'service imap { } = $x rawlog_dir /a % protocol userdb ssl yes " # driver !'


@given(st.lists(st.sampled_from(WORDS.split(" ")), max_size=25))
def test_any_text_gives_a_configuration_or_one_line_of_error(words: list[str]) -> None:
    try:
        configuration = loads(" ".join(words).replace("} ", "}\n").replace("{ ", "{\n"))
    except ConfigError as error:
        assert str(error).isprintable()
    else:
        assert all(warning.isprintable() for warning in configuration.warnings)


@pytest.mark.live
def test_the_stock_files_of_dovecots_packages() -> None:
    if not STOCK.exists():
        pytest.skip(f"{STOCK} is not there: dovecot is not installed")
    configuration = load(str(STOCK))
    assert configuration.warnings == ()
    assert len(configuration.ignored) > 5
    assert configuration.userdbs[0].driver == "passwd"
    assert (configuration.gateways(), configuration.postlogins()) == ([], [])


@pytest.mark.live
def test_doveconf_and_we_agree_on_the_stock_files() -> None:
    """What ``doveconf -n`` prints reads as a configuration, equal to that of the files themselves."""
    if not STOCK.exists() or shutil.which("doveconf") is None:
        pytest.skip("doveconf and its stock files are not installed")
    done = subprocess.run(["doveconf", "-n", "-c", STOCK], capture_output=True, text=True, timeout=20)
    if done.returncode:
        pytest.skip(f"doveconf -n failed: {done.stderr.strip()}")
    theirs, ours = loads(done.stdout), load(str(STOCK))
    hidden = {"ssl_key": ""}  # doveconf shows no secrets
    assert theirs.settings.__class__ is ours.settings.__class__
    for name in DEFAULTS.__slots__:
        assert getattr(theirs.settings, name) == hidden.get(name, getattr(ours.settings, name)), name
    assert theirs.userdbs == ours.userdbs
