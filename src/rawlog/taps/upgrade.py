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

from collections.abc import Callable

from rawlog.engine.leg import Leg, LegError
from rawlog.engine.loop import Loop, Timer
from rawlog.engine.relay import Relay
from rawlog.events import Direction
from rawlog.protocols.framing import Framer, Kind
from rawlog.taps.admission import TOO_MANY_HANDSHAKES, Guest
from rawlog.taps.before_login import Policy, line_limit, offer_of, too_long
from rawlog.taps.dialects.base import Answer, Dialect, Offer, Then
from rawlog.taps.opening import Opening

HELD_LIMIT = 64 * 1024  # client bytes that wait for an answer; beyond it the client is not read from
AHEAD_LIMIT = 500  # commands without any word of the server; more cost this machine time that others pay for
LEFT_TIMEOUT = 60.0  # seconds for that answer when nobody sees any more whether the client is there: the drain limit
SERVER_LIMIT = 1024 * 1024  # server bytes without an end of line before login: no mail server does this
GREETING_TIMEOUT = 10.0  # seconds from the connection to the backend's greeting, TLS included: security.md 6.2
_REWRITTEN = (Kind.LINE, Kind.BLOCK)


class Upgrade:
    """Leads one conversation up to its login. ``report`` gets a sentence for the operator; ``on_tls`` tells that a leg
    (``client`` or ``server``) is encrypted now; ``guest`` has the limits of the client."""

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
        guest: Guest,
    ) -> None:
        self._relay = relay
        self._framer = framer
        self._dialect = dialect
        self._policy = policy
        self._report = report
        self._on_tls = on_tls
        self._guest = guest
        self._admitted = False  # the login of the client has been looked at
        self._client = b""  # read from the client, not forwarded
        self._at = 0  # how much of it is done with
        self._stuck = False  # what is left of it waits for an answer of the server
        self._holding = False  # meanwhile the client's end is not passed on
        self._left: Timer | None = None  # the client has ended meanwhile, or is not read from
        self._alone = False  # the command under way wants to be alone
        self._ahead = 0  # commands since the server's last word
        self._server = b""  # read from the server, not forwarded
        self._server_at = 0  # offset of self._server in the server's stream
        self._opening: Opening | None = None
        self._busy = False  # a TLS handshake with the client goes on
        self._over = self._greeted = False  # greeted: the client has heard something from the server
        self._loop = loop
        self._timer = loop.call_later(GREETING_TIMEOUT, self._no_greeting)

    def begin(self) -> None:
        """Step into the relay's path, and begin with the backend. Call it before the relay is started."""
        self._relay.filters[Direction.IN] = self._from_client
        self._relay.filters[Direction.OUT] = self._from_server
        review = self._relay.server.on_change
        self._relay.server.on_change = lambda: self._server_changed(review)
        self._relay.client.on_change = lambda: self._client_changed(review)
        self._guest.await_login(self._late)
        if self._policy.backend_tls == "starttls":
            self._open()

    # -- the backend's greeting ---------------------------------------------------------------------------------

    def _open(self) -> None:
        context = self._policy.backend_context
        assert context is not None
        self._opening = Opening(
            self._relay.server,
            self._dialect.starttls(),
            context,
            self._policy.backend_name,
            on_tls=lambda: self._on_tls("server"),
            on_done=self._opened,
            on_failure=self._give_up,
        )

    def _opened(self, greeting: bytes) -> None:
        """The server's leg is encrypted, and this is what the client is to see."""
        self._opening = None
        self._server = greeting
        self._server_lines()

    def _from_server(self, data: bytes) -> bytes:
        if self._over:
            return b""
        if self._opening is not None:
            self._opening.feed(data)
        else:
            self._server += data
            self._server_lines()
        return b""

    def _no_greeting(self) -> None:
        self._give_up(f"it did not greet within {GREETING_TIMEOUT:g} s; check that it is healthy, and the port")

    def _late(self, sentence: str) -> None:
        """No login in time. Who may send a message without one, and does, needs none."""
        if self._busy:
            self._relay.abort(sentence)
        elif not self._over and not self._framer.has_recipients():
            self._refuse(sentence, "There was no login in time")

    def _client_changed(self, review: Callable[[], None]) -> None:
        """The client's leg has ended, perhaps, while commands of it wait: for their answer, but not for ever."""
        if self._holding and self._relay.client.ended and not self._over:
            self._start_waiting(f"{self._relay.client.end_reason} while its commands waited for an answer")
        review()

    def _server_changed(self, review: Callable[[], None]) -> None:
        """The server's leg has ended, perhaps: nothing of it may be lost, nor leave a client without a word."""
        server = self._relay.server
        if self._over or not server.ended:
            review()
        elif not self._greeted:
            self._give_up(f"{server.end_reason} before its greeting; look into the log of that server")
        else:
            if self._stuck:  # on an answer that never comes: no more of the client's may follow then
                self._client = b""
            self._step_out()
            if self._stuck:
                self._relay.filters[Direction.IN] = lambda data: b""
            review()

    def _give_up(self, sentence: str) -> None:
        """There is no usable backend: the client is told so in its protocol, the operator why."""
        if self._over:
            return
        self._relay.client.write(self._dialect.refusal("The mail server can't be reached at the moment"))
        name = self._relay.server.name
        self._end(sentence if sentence.startswith(name) else f"{name}: {sentence}")

    # -- the server's lines -------------------------------------------------------------------------------------

    def _server_lines(self) -> None:
        """Forward the server's complete lines, put right, and then what they set free of the client's."""
        fresh = self._server[self._framer.server.tape.end - self._server_at :]
        fragments = self._framer.feed(Direction.OUT, fresh)
        offer = self._offer()
        begin, end, forward = self._server_at, self._server_at, []
        for fragment in fragments:
            if fragment.direction is Direction.OUT:
                end = fragment.end
                piece = self._server[fragment.start - begin : end - begin]
                forward.append(self._dialect.rewrite(piece, offer) if fragment.kind in _REWRITTEN else piece)
        self._server, self._server_at = self._server[end - begin :], end
        if self._framer.authenticated and not self._admitted:
            self._admitted = True
            if sentence := self._guest.logged_in(self._framer.user):
                self._refuse(sentence, "You have too many connections from your address")
                return
        if forward:
            self._greeted = True
            self._ahead = 0
            self._timer.cancel()
            self._write(self._relay.client, b"".join(forward))
        if self._framer.is_lost(Direction.OUT):
            self._lost()
        elif self._dialect.until_login and self._framer.authenticated:
            self._step_out()
        elif self._answered_too_early():
            self._end("the server answered in the middle of a message; ended, for it may take the rest for commands")
        elif len(self._server) > SERVER_LIMIT:
            self._give_up(f"it sent more than {SERVER_LIMIT} bytes without an end of line; check host and port")
        else:
            self._write(self._relay.server, self._commands())
            self._hold()

    def _answered_too_early(self) -> bool:
        inside = self._framer.expects_bytes() or self._framer.expects_block()
        return bool(inside) and not self._dialect.until_login and not self._framer.unanswered()

    def _lost(self) -> None:
        """Behind the login nothing can be claimed any more; where it can, nothing may pass unseen."""
        if self._dialect.until_login:
            self._report("the conversation is not understood any more; it goes on")
            self._step_out()
        else:
            self._write(self._relay.client, self._server)
            self._refuse("the conversation is not understood any more; ended", "The conversation is not understood")

    def _step_out(self) -> None:
        """Let go of everything; from here on the relay moves bytes unseen."""
        self._over = True
        self._timer.cancel()
        self._relay.filters[Direction.IN] = None
        self._relay.filters[Direction.OUT] = None
        self._write(self._relay.client, self._server)
        self._write(self._relay.server, self._client)
        self._client = self._server = b""
        self._hold()

    # -- the client's commands ----------------------------------------------------------------------------------

    def _from_client(self, data: bytes) -> bytes:
        if self._over:
            return b""
        self._client += data
        self._write(self._relay.server, self._commands())
        self._hold()
        return b""

    def _hold(self) -> None:
        """While something of the client's waits, its end must wait too; so must more, when it is too much."""
        if self._over or not self._stuck:
            if self._holding:
                self._holding = False
                self._stop_waiting()
                self._relay.resume(Direction.IN)
            return
        if not self._holding:
            self._holding = True
            self._relay.pause(Direction.IN)
        if len(self._client) > HELD_LIMIT or self._ahead >= AHEAD_LIMIT:
            self._relay.client.pause()
            self._start_waiting("the client sent too much ahead of an answer that did not come")
        else:
            self._relay.client.resume()

    def _start_waiting(self, sentence: str) -> None:
        if self._left is None:
            self._left = self._loop.call_later(LEFT_TIMEOUT, lambda: self._relay.finish(sentence))

    def _stop_waiting(self) -> None:
        if self._left is not None:
            self._left.cancel()
            self._left = None

    def _commands(self) -> bytes:
        """Take from the client's bytes what may go to the server, piece by piece."""
        self._stuck = False
        forward = []
        while not self._over and not self._refuses_length() and self._at < len(self._client) and not self._busy:
            piece = self._command() if self._framer.expects_command() else self._continuation()
            if not piece:
                break
            self._framer.feed(Direction.IN, piece)
            forward.append(piece)
        self._client, self._at = self._client[self._at :], 0
        return b"".join(forward)

    def _refuses_length(self) -> bool:
        if what := too_long(self._framer, until_login=self._dialect.until_login):
            self._refuse(f"the client sent {what} before its login", "The line or literal is too long")
        return bool(what)

    def _command(self) -> bytes:
        """The client's next command, when it is for the server; answers those that are for the gateway."""
        while (end := self._client.find(b"\n", self._at) + 1) > 0:
            if end - self._at > line_limit(self._framer):
                break
            line = self._client[self._at : end]
            alone = self._dialect.alone(line)
            if self._ahead >= AHEAD_LIMIT or ((alone or self._alone) and self._framer.unanswered()):
                self._stuck = True
                return b""
            self._alone = alone
            answer = self._dialect.answer(line, self._offer())
            if answer is None:
                self._at, self._ahead = end, self._ahead + 1
                return self._dialect.forwarded(line)
            if self._framer.unanswered():  # answers come in the order of the commands
                self._stuck = True
                return b""
            self._at, self._ahead = end, self._ahead + 1
            self._reply(answer)
            if answer.then is not Then.GO_ON:
                return b""
        if len(self._client) - self._at > (limit := line_limit(self._framer)):
            self._refuse(f"the client sent a command of more than {limit} bytes", "The line is too long")
        return b""

    def _continuation(self) -> bytes:
        """The next piece of what is no command: a literal, a dot block, a SASL response; nothing while held."""
        if self._framer.client.held:
            self._stuck = True
            return b""
        if self._framer.expects_block():
            size = self._block_size()
            if self._refuses_block(size):
                return b""
        elif self._framer.expects_bytes():
            size = self._framer.expects_bytes()
        else:
            size = self._client.find(b"\n", self._at) + 1 - self._at
            size = size if size > 0 else len(self._client) - self._at
        piece = self._client[self._at : self._at + size]
        self._at += len(piece)
        return piece

    def _block_size(self) -> int:
        """Bytes of the client's up to the end of its dot block, or all there are."""
        window = self._framer.client.window
        rest = self._client[self._at :]
        at = (window + rest).find(b"\r\n.\r\n")
        return len(rest) if at < 0 else at + 5 - len(window)

    def _refuses_block(self, size: int) -> bool:
        """Whether the next ``size`` bytes of a dot block hold what the dialect does not let through; says so."""
        if not self._policy.refuse_bare_lf:
            return False
        answer = self._dialect.bare(self._framer.client.window[-1:], self._client[self._at : self._at + size])
        if answer is None:
            return False
        self._relay.client.write(answer)
        self._end("the client sent a message with a line ending that is not CRLF; refused (rawlog_smtp_bare_lf)")
        return True

    def _reply(self, answer: Answer) -> None:
        count = len(self._client) - self._at
        if answer.then is Then.START_TLS and not count and not self._guest.may_begin_handshake():
            self._refuse(TOO_MANY_HANDSHAKES, "TLS can't be had at the moment")
            return
        if answer.then is Then.START_TLS and count:
            sentence = f"the client sent {count} bytes behind STARTTLS before TLS was on (command injection); refused"
            self._relay.client.write(self._dialect.injected())
            self._end(sentence)
            return
        self._relay.client.write(answer.text)
        if answer.then is Then.START_TLS:
            self._start_client_tls()
        elif answer.then is Then.CLOSE:
            self._end(answer.why)

    def _start_client_tls(self) -> None:
        context = self._policy.client_tls
        assert context is not None
        self._busy = True
        self._relay.client.start_tls(
            context,
            server_side=True,
            server_hostname=None,
            on_done=self._client_tls_done,
            timeout=self._guest.handshake_timeout,
            admit=lambda: self._guest.begin_handshake(self._relay.abort),
        )

    def _client_tls_done(self, error: LegError | None) -> None:
        self._guest.end_handshake()
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
        tls = self._policy.client_implicit or self._relay.client.tls is not None
        return offer_of(self._policy, self._framer, tls=tls, until_login=self._dialect.until_login)

    def _refuse(self, sentence: str, words: str) -> None:
        self._relay.client.write(self._dialect.refusal(words))
        self._end(sentence)

    def _end(self, sentence: str) -> None:
        self.closed()
        self._report(sentence)
        self._relay.finish(sentence)

    def _write(self, leg: Leg, data: bytes) -> None:
        if data:
            leg.write(data)

    def closed(self) -> None:
        """The relay has ended, or will: nothing more is to be done."""
        self._over = True
        self._timer.cancel()
        self._stop_waiting()
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None  # it holds this object
