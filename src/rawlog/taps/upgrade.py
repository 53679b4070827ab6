"""The first minutes of a conversation through the gateway: TLS on both legs, and who may say what before login.

The theory. While this machine is in the relay's path, the client's bytes go through it command by command, the
server's line by line. It answers STARTTLS itself, puts capability lists right, refuses what would expose a password,
and leads the dialogue with a backend that is reached by STARTTLS. At login it steps out of the path (in SMTP and LMTP
it stays, since EHLO may be said again), and the relay moves bytes unseen.

This is the only place where a byte may wait before it is forwarded, and only because the transport itself may change
behind it. Bytes that came in before TLS never count as if they had come in through it (CVE-2011-0411 and its class).

Knows: a relay, a framer, a dialect. Must not know: recordings, settings, how many conversations there are.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass

from rawlog.engine.leg import LegError
from rawlog.engine.loop import Loop
from rawlog.engine.relay import Relay
from rawlog.events import Direction
from rawlog.protocols.framing import LINE_LIMIT, Framer, Kind
from rawlog.taps.dialects.base import Answer, BackendError, Dialect, Greeting, Offer, Step, Then

HELD_LIMIT = 64 * 1024  # client bytes ahead of the server's answers; beyond it the client is not read from
SERVER_LIMIT = 1024 * 1024  # server bytes without an end of line before login: no mail server does this
GREETING_TIMEOUT = 10.0  # seconds from the connection to the backend's greeting, TLS included: security.md 6.2
_REWRITTEN = (Kind.LINE, Kind.BLOCK)


@dataclass(frozen=True, slots=True)
class Policy:
    """What the two legs are to be.

    ``client_tls``: to offer STARTTLS with, None: not offered. ``plaintext_login``: a password is accepted without TLS.
    ``backend_tls``: ``none``, ``starttls`` or ``implicit`` (then TLS is on already). ``backend_context`` and
    ``backend_name``: how the backend's certificate is verified after STARTTLS.
    """

    client_tls: ssl.SSLContext | None
    plaintext_login: bool
    backend_tls: str
    backend_context: ssl.SSLContext | None = None
    backend_name: str | None = None


class Upgrade:
    """Leads one conversation up to its login. ``report`` gets a sentence for the operator; ``on_tls`` tells that a leg
    (``client`` or ``server``) is encrypted now."""

    def __init__(
        self,
        loop: Loop,
        relay: Relay,
        framer: Framer,
        dialect: Dialect,
        policy: Policy,
        *,
        report: Callable[[str], None],
        on_tls: Callable[[str], None],
    ) -> None:
        self._relay = relay
        self._framer = framer
        self._dialect = dialect
        self._policy = policy
        self._report = report
        self._on_tls = on_tls
        self._client = b""  # read from the client, not forwarded
        self._server = b""  # read from the server, not forwarded
        self._server_at = 0  # offset of self._server in the server's stream
        self._greeting: Greeting | None = None
        self._step: Step | None = None
        self._busy = False  # a TLS handshake with the client goes on
        self._over = False
        self._timer = loop.call_later(GREETING_TIMEOUT, self._no_greeting)

    def begin(self) -> None:
        """Step into the relay's path, and begin with the backend. Call it before the relay is started."""
        self._relay.filters[Direction.IN] = self._from_client
        self._relay.filters[Direction.OUT] = self._from_server
        if self._policy.backend_tls == "starttls":
            self._greeting = self._dialect.starttls()
            self._step = Step.READ_LINE
            next(self._greeting)

    # -- the backend's greeting ---------------------------------------------------------------------------------

    def _from_server(self, data: bytes) -> bytes:
        if self._over:
            return b""
        self._server += data
        if self._greeting is None:
            return self._server_lines()
        self._lead()
        return self._greeted()

    def _greeted(self) -> bytes:
        """The greeting for the client, when the dialogue that makes it is over."""
        return b"" if self._greeting is not None or self._over else self._server_lines()

    def _lead(self) -> None:
        """Go on with the greeting dialogue as far as lines are there."""
        while self._greeting is not None and self._step is Step.READ_LINE and b"\n" in self._server:
            line, _, self._server = self._server.partition(b"\n")
            self._advance(self._greeting, line + b"\n")
        if len(self._server) > LINE_LIMIT:
            self._give_up(f"the server's greeting has a line of more than {LINE_LIMIT} bytes")

    def _advance(self, greeting: Greeting, line: bytes | None) -> None:
        try:
            wish = next(greeting) if line is None else greeting.send(line)
            while isinstance(wish, bytes):
                self._relay.server.write(wish)
                wish = next(greeting)
        except StopIteration as done:
            self._greeting = None
            self._server = done.value + self._server
            return
        except BackendError as error:
            self._give_up(str(error))
            return
        self._step = wish
        if wish is Step.START_TLS:
            self._start_backend_tls()

    def _start_backend_tls(self) -> None:
        if self._server:
            self._give_up("the server sent more behind its answer to STARTTLS before TLS was on (response injection)")
            return
        context = self._policy.backend_context
        assert context is not None
        name = self._policy.backend_name
        self._relay.server.start_tls(context, server_side=False, server_hostname=name, on_done=self._backend_tls_done)

    def _backend_tls_done(self, error: LegError | None) -> None:
        if self._over:
            return
        if error is not None:
            self._give_up(str(error))
            return
        self._on_tls("server")
        assert self._greeting is not None
        self._step = Step.READ_LINE
        self._advance(self._greeting, None)
        self._lead()
        if greeting := self._greeted():
            self._relay.client.write(greeting)

    def _no_greeting(self) -> None:
        self._give_up(f"the server did not greet within {GREETING_TIMEOUT:.0f} seconds")

    def _give_up(self, sentence: str) -> None:
        """There is no usable backend: the client is told so in its protocol, the operator why."""
        if self._over:
            return
        self._relay.client.write(self._dialect.refusal("The mail server can't be reached at the moment"))
        self._end(sentence if sentence.startswith("backend") else f"backend: {sentence}")

    # -- the server's lines -------------------------------------------------------------------------------------

    def _server_lines(self) -> bytes:
        """Forward the server's complete lines, put right."""
        fresh = self._server[self._framer.server.tape.end - self._server_at :]
        fragments = self._framer.feed(Direction.OUT, fresh)
        offer = self._offer()
        forward = []
        for fragment in fragments:
            if fragment.direction is Direction.OUT:
                piece = self._server[: fragment.end - self._server_at]
                self._server = self._server[len(piece) :]
                self._server_at = fragment.end
                forward.append(self._dialect.rewrite(piece, offer) if fragment.kind in _REWRITTEN else piece)
        if forward:
            self._timer.cancel()
        if len(self._server) > SERVER_LIMIT:
            self._give_up(f"the server sent more than {SERVER_LIMIT} bytes without an end of line")
            return b""
        return self._forward(forward)

    def _forward(self, forward: list[bytes]) -> bytes:
        """What goes to the client now; an answer may also have set free what the client sent ahead."""
        if self._dialect.until_login and self._framer.authenticated:
            forward.append(self._server)
            ahead, self._client, self._server = self._client, b"", b""
            self._step_out()
        else:
            ahead = self._commands()
        if ahead:
            self._relay.server.write(ahead)
        return b"".join(forward)

    def _step_out(self) -> None:
        self._over = True
        self._relay.filters[Direction.IN] = None
        self._relay.filters[Direction.OUT] = None
        self._relay.resume(Direction.IN)

    # -- the client's commands ----------------------------------------------------------------------------------

    def _from_client(self, data: bytes) -> bytes:
        if self._over:
            return b""
        self._client += data
        forward = self._commands()
        if len(self._client) > HELD_LIMIT:
            self._relay.pause(Direction.IN)
        return forward

    def _commands(self) -> bytes:
        """Take from the client's bytes what may go to the server, piece by piece."""
        was_long = len(self._client) > HELD_LIMIT
        forward = []
        while self._client and not self._busy and not self._over:
            piece = self._command() if self._framer.expects_command() else self._continuation()
            if not piece:
                break
            self._framer.feed(Direction.IN, piece)
            forward.append(piece)
        if was_long and len(self._client) <= HELD_LIMIT and not self._over:
            self._relay.resume(Direction.IN)
        return b"".join(forward)

    def _command(self) -> bytes:
        """The client's next command, when it is for the server; answers those that are for the gateway."""
        while b"\n" in self._client:
            line = self._client[: self._client.index(b"\n") + 1]
            answer = self._dialect.answer(line, self._offer())
            if answer is None:
                self._client = self._client[len(line) :]
                return line
            if self._framer.unanswered():  # answers come in the order of the commands
                return b""
            self._client = self._client[len(line) :]
            self._reply(answer)
            if answer.then is not Then.GO_ON:
                return b""
        if len(self._client) > LINE_LIMIT:
            self._refuse(f"the client sent a command of more than {LINE_LIMIT} bytes", "The line is too long")
        return b""

    def _continuation(self) -> bytes:
        """The next piece of what is no command: a literal, a dot block, a SASL response; nothing while held."""
        if self._framer.client.held:
            return b""
        if self._framer.expects_block():
            size = self._block_size()
        elif self._framer.expects_bytes():
            size = self._framer.expects_bytes()
        else:
            size = self._client.find(b"\n") + 1 or len(self._client)
        piece, self._client = self._client[:size], self._client[size:]
        return piece

    def _block_size(self) -> int:
        """Bytes of the client's up to the end of its dot block, or all there are."""
        window = self._framer.client.window
        at = (window + self._client).find(b"\r\n.\r\n")
        return len(self._client) if at < 0 else at + 5 - len(window)

    def _reply(self, answer: Answer) -> None:
        if answer.then is Then.START_TLS and self._client:
            count = len(self._client)
            sentence = f"the client sent {count} bytes behind STARTTLS before TLS was on (command injection); refused"
            self._relay.client.write(self._dialect.injected())
            self._end(sentence)
            return
        self._relay.client.write(answer.text)
        if answer.then is Then.START_TLS:
            self._start_client_tls()
        elif answer.then is Then.CLOSE:
            self._end("the client sent a password without TLS; refused")

    def _start_client_tls(self) -> None:
        context = self._policy.client_tls
        assert context is not None
        self._busy = True
        self._relay.client.start_tls(context, server_side=True, server_hostname=None, on_done=self._client_tls_done)

    def _client_tls_done(self, error: LegError | None) -> None:
        if self._over:
            return
        if error is not None:
            self._end(str(error))
            return
        self._busy = False
        self._on_tls("client")
        if words := self._dialect.after_tls():
            self._framer.feed(Direction.IN, words)
            self._relay.server.write(words)

    # -- both ---------------------------------------------------------------------------------------------------

    def _offer(self) -> Offer:
        tls = self._relay.client.tls is not None
        done = self._dialect.until_login and self._framer.authenticated
        return Offer(
            starttls=self._policy.client_tls is not None and not tls and not done,
            tls=tls,
            login=tls or self._policy.plaintext_login,
            backend_tls=self._policy.backend_tls != "none",
        )

    def _refuse(self, sentence: str, words: str) -> None:
        self._relay.client.write(self._dialect.refusal(words))
        self._end(sentence)

    def _end(self, sentence: str) -> None:
        self._over = True
        self._timer.cancel()
        self._report(sentence)
        self._relay.finish(sentence)

    def closed(self) -> None:
        """The relay has ended."""
        self._over = True
        self._timer.cancel()
