"""The settings: each with its type, its default, what it is for, and where it has an effect.

Knows: one place per fact; the manual and ``rawlog conf -v`` read the reasons from here. Names without ``rawlog_`` at
the front are Dovecot's, with Dovecot's meaning.
Must not know: files, sections and lines (the loader), services and listeners (services.py).
"""

# ruff: noqa: RUF009  (each default goes through _one() or _per(), so that its reason stands beside it)

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rawlog.settings import values
from rawlog.settings.backend import Backend
from rawlog.settings.values import Kind, Network, Space

#: Dovecot's names of the protocols a gateway can stand in front of, and the grammar spoken there.
PROTOCOLS: Mapping[str, str] = {
    "imap": "imap",
    "lmtp": "lmtp",
    "pop3": "pop3",
    "sieve": "managesieve",
    "submission": "smtp",
}

_LOGIN = ("imap", "pop3", "sieve", "submission")
_ALL = tuple(PROTOCOLS)


@dataclass(frozen=True, slots=True)
class Spec:
    """What is known of one setting. ``protocols``: where it has an effect; none means one value for everything."""

    kind: Kind
    why: str
    protocols: tuple[str, ...] = ()


def _parse_protocols(text: str) -> tuple[str, ...]:
    """Protocols by Dovecot's names, in our order; ``none`` is none."""
    words = () if text == "none" else values.words(text)
    for word in words:
        if word not in PROTOCOLS:
            raise ValueError(f"'{word}' is no protocol here: there are {', '.join(PROTOCOLS)}")
    return tuple(protocol for protocol in PROTOCOLS if protocol in words)


_PROTOCOLS = Kind(_parse_protocols, lambda words: " ".join(words) or "none")


def _one(default: object, kind: Kind, why: str) -> Any:
    """A setting with one value for the whole service."""
    return dataclasses.field(default=default, metadata={"spec": Spec(kind, why)})


def _per(protocols: tuple[str, ...], default: object, kind: Kind, why: str) -> Any:
    """A setting that each protocol may have its own value of."""
    return dataclasses.field(default=default, metadata={"spec": Spec(kind, why, protocols)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is in force, for one protocol or for everything.

    Times are in seconds, sizes in bytes, None where there is no limit. Directories are texts as ``rawlog_dir`` takes
    them, already checked; empty means: nowhere.
    """

    # The service.
    protocols: tuple[str, ...] = _one(_ALL, _PROTOCOLS, "Protocols that are served where they have a rawlog_backend.")
    listen: tuple[str, ...] = _one(("*", "::"), values.ADDRESSES, "Addresses of listeners that name none of their own.")
    base_dir: str = _one("/run/dovecot", values.ABSOLUTE, "Where unix sockets with relative names are made.")
    log_path: str = _one("/dev/stderr", values.LOG, "Where messages go: a file, /dev/stderr or syslog.")
    import_environment: tuple[str, ...] = _one(
        ("TZ",), values.WORDS, "DEBUG=1 in it makes the post-login service say why a user is not recorded."
    )

    # Who a user is.
    mail_home: str = _per(_ALL, "", values.HOME, "The home directory where userdb returns none: what %h stands for.")
    auth_username_format: str = _one(
        "%Lu", values.USER_TEXT, "What is looked up for a user's name: %Lu is in lower case."
    )
    auth_username_chars: str = _one(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01234567890.-_@",
        values.TEXT,
        "Characters a user's name may have; with others the user is unknown. Empty: any.",
    )
    auth_default_realm: str = _one("", values.TEXT, "The domain of users who give none.")

    # TLS.
    ssl: str = _per(_ALL, "yes", values.choice("yes", "no", "required"), "TLS for clients; required: no login without.")
    ssl_cert: str = _per(_ALL, "", values.FILE, "The certificate shown to clients, written </PATH.")
    ssl_key: str = _per(_ALL, "", values.FILE, "Its private key, written </PATH.")
    ssl_min_protocol: str = _per(
        _ALL,
        "TLSv1.2",
        values.choice("TLSv1.2", "TLSv1.3", "LATEST", "TLSv1.1", "TLSv1", "ANY"),
        "The oldest TLS allowed (RFC 8997: not below 1.2).",
    )
    ssl_client_ca_file: str = _per(_ALL, "", values.PATH, "Authorities that may sign the backend's certificate, PEM.")
    ssl_client_ca_dir: str = _per(_ALL, "", values.PATH, "The same as a directory; both empty: those of the system.")
    ssl_client_require_valid_cert: bool = _per(
        _ALL, True, values.BOOL, "Whether the backend's certificate and name are verified."
    )
    disable_plaintext_auth: bool = _per(
        _LOGIN, True, values.BOOL, "Refuse passwords in clear from other hosts than this one (RFC 8314)."
    )

    # The proxy before us, and towards the backend.
    haproxy_trusted_networks: tuple[Network, ...] = _one(
        (), values.NETWORKS, "Who may send a PROXY header to listeners with haproxy = yes."
    )
    haproxy_timeout: int = _one(3, values.TIME, "How long a PROXY header is waited for.")
    rawlog_haproxy_out: str = _per(
        _ALL, "no", values.choice("no", "v1", "v2"), "Tell the backend the client's address by a PROXY header."
    )

    # What strangers may take. Over a limit they are refused in the protocol's words; nobody else notices.
    mail_max_userip_connections: int | None = _per(
        _LOGIN, 10, values.COUNT_OR_UNLIMITED, "Most connections of one user from one address, after the login."
    )
    rawlog_max_ip_connections: int | None = _one(
        50, values.COUNT_OR_UNLIMITED, "Most connections from one address; an IPv6 network of 64 bits is one."
    )
    rawlog_max_handshakes: int | None = _one(
        64, values.COUNT_OR_UNLIMITED, "Most TLS handshakes with clients at one time; then slow ones are ended."
    )
    rawlog_handshake_timeout: int = _one(10, values.TIME, "How long a client may take for its TLS handshake.")
    rawlog_login_timeout: int | None = _per(
        _LOGIN, 60, values.TIME_OR_UNLIMITED, "How long a client may take for its login."
    )
    rawlog_unlimited_networks: tuple[Network, ...] = _one(
        values.parse_networks("127.0.0.0/8 ::1/128"),
        values.NETWORKS,
        "Clients there, as a webmail, have as many connections and handshakes as they like.",
    )

    # Where recordings go. The directory is the switch: nothing is recorded where it does not exist.
    rawlog_dir: str = _per(
        _LOGIN,
        "",
        values.DIRECTORY,
        "Recordings of users' conversations; the directory must exist. %u, %h ... are known.",
    )
    lmtp_rawlog_dir: str = _per(("lmtp",), "", values.DIRECTORY, "Recordings of LMTP conversations with clients.")
    lmtp_proxy_rawlog_dir: str = _per(("lmtp",), "", values.DIRECTORY, "The backend's side of LMTP conversations.")
    submission_relay_rawlog_dir: str = _per(
        ("submission",), "", values.DIRECTORY, "The backend's side of submission conversations."
    )
    login_proxy_rawlog_dir: str = _per(
        _LOGIN, "", values.DIRECTORY, "The backend's side of conversations, from its greeting on."
    )

    # Ours.
    rawlog_backend: Backend | None = _per(
        _ALL, None, values.BACKEND, "The real server: imaps://HOST[:PORT], imap+starttls://HOST, unix:/PATH."
    )
    rawlog_secrets: str = _per(
        _ALL,
        "auto",
        values.choice("auto", "redact", "keep"),
        "Credentials in recordings: auto masks them at the gateway and leaves post-login recordings as Dovecot's.",
    )
    rawlog_recipient: tuple[str, ...] = _one(
        (), values.RECIPIENTS, "Seal recordings for these keys of age (age1...): who writes them can't read them."
    )
    rawlog_on_error: str = _per(
        _ALL,
        "open",
        values.choice("open", "pause", "strict"),
        "When a recording can't be written: go on without, wait up to 10 s, or end the conversation.",
    )
    rawlog_relay: str = _one(
        "fast", values.choice("fast", "unbreakable"), "unbreakable: plain legs survive the death of the recorder."
    )
    rawlog_format: str = _per(
        _ALL, "dovecot", values.choice("dovecot", "native"), "A pair .in and .out, or one file with marks."
    )
    rawlog_prelogin: bool = _per(
        _LOGIN, False, values.BOOL, "Begin at the greeting instead of after the login, credentials masked."
    )
    rawlog_smtp_bare_lf: str = _per(
        ("lmtp", "submission"),
        "refuse",
        values.choice("refuse", "pass"),
        "Lines in a message that end otherwise than with CRLF: answer 521 and close, or pass them on as they came.",
    )
    rawlog_workers: int = _one(0, values.WORKERS, "Worker processes; auto: one for each core.")
    rawlog_user: str = _one("rawlog", values.USER, "Who the workers are, when started as root.")
    rawlog_keep: int | None = _one(7 * 86400, values.TIME_OR_UNLIMITED, "Recordings older than this are removed.")
    rawlog_max_session_size: int | None = _per(
        _ALL, 64 << 20, values.SIZE_OR_UNLIMITED, "Most bytes recorded of one conversation, both directions together."
    )
    rawlog_max_user_size: int | None = _one(1 << 30, values.SIZE_OR_UNLIMITED, "Most bytes of recordings of one user.")
    rawlog_max_total_size: Space = _one(
        Space(10, 4 << 30), values.SPACE, "Most bytes of all recordings; of a share and a size the smaller holds."
    )
    rawlog_min_free_space: Space = _one(
        Space(5, 500 << 20), values.SPACE, "What stays free on the file system; of a share and a size the larger holds."
    )

    @property
    def gateway_secrets(self) -> str:
        """``redact`` or ``keep``, for what a gateway records."""
        return "keep" if self.rawlog_secrets == "keep" else "redact"

    @property
    def postlogin_secrets(self) -> str:
        """``redact`` or ``keep``, for what the post-login doors record: as Dovecot does unless told otherwise."""
        return "redact" if self.rawlog_secrets == "redact" else "keep"

    @property
    def debug(self) -> bool:
        """Whether DEBUG is in the environment that ``import_environment`` makes."""
        return any(word == "DEBUG" or word.startswith("DEBUG=") for word in self.import_environment)

    @property
    def serves_tls(self) -> bool:
        """Whether clients can have TLS: ``ssl`` is not ``no`` and there are a certificate and a key."""
        return self.ssl != "no" and bool(self.ssl_cert and self.ssl_key)


#: The settings by name, in the order above.
SPECS: Mapping[str, Spec] = {f.name: f.metadata["spec"] for f in dataclasses.fields(Settings)}
DEFAULTS = Settings()


def shown(settings: Settings, name: str) -> str:
    """The value of a setting as it is written in a file."""
    return SPECS[name].kind.show(getattr(settings, name))
