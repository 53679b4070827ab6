"""The post-login door: mail processes of Dovecot ask here after each login, and who is to be recorded gets a relay.

Knows: the order of things: a request, whether to record, the files, one end of a pair of sockets with the answer, a
session. Must not know: how files are made for a user (the keepers), how bytes move, Dovecot's master. There is no
process and no exec per login. Whatever can't be done, the mail process keeps the client's own descriptor, and nothing
of ours stays in the path: recording may fail, a login may not.
"""

from __future__ import annotations

from _socket import SocketType
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from rawlog.engine.bounds import DEFAULT_LIMITS, Limits
from rawlog.engine.loop import Loop
from rawlog.errors import FormatError
from rawlog.events import Direction
from rawlog.formats.dovecot import PairEncoder
from rawlog.recorder.directory import NotRecorded, shown
from rawlog.recorder.flusher import Flusher
from rawlog.recorder.keeper import SEALED, Order
from rawlog.recorder.limits import Limit
from rawlog.recorder.naming import Opened
from rawlog.recorder.orders import Keepers
from rawlog.recorder.recorder import Recorder
from rawlog.recorder.sinks import FileSink
from rawlog.settings.options import RawlogOptions
from rawlog.taps.postlogin_adopt import adopt
from rawlog.taps.postlogin_door import Door
from rawlog.taps.postlogin_login import Login
from rawlog.taps.postlogin_reports import Reports
from rawlog.taps.postlogin_request import DIRECTORY_FIELD, DROPIN, Request, parse_request, speaker
from rawlog.taps.postlogin_session import Session
from rawlog.taps.postlogin_visitor import Visitor

if TYPE_CHECKING:
    from rawlog.recorder.seal import Seal
    from rawlog.settings.variables import Template
    from rawlog.taps.unbreakable import Unbreakable
    from rawlog.taps.unbreakable_session import UnbreakableSession

_BOTH = tuple(Direction)
PATIENCE = 0.05
"""Seconds until files are asked for, where there will be some, if the mail process has not answered the login by then:
until it has, it needs the processors itself. Whoever looks why it does not answer finds the files."""
HOMES_LIMIT = 1000
"""Homes that are remembered to have had files; the oldest is forgotten first."""


def _unlimited(sinks: Mapping[Direction, FileSink]) -> Limit | None:
    """No limit, as in Dovecot."""
    return None


class PostLoginOptions(NamedTuple):
    """What the operator asked for.

    ``written`` None: nothing is recorded, since the options are wrong. ``debug``: say also why users without a
    directory are not recorded. ``trusted``: the users whose mail processes may ask for anybody: root, and our own
    where Dovecot runs without root; anybody else whom the socket's mode lets in is recorded as that user only.
    ``limit`` gives the limits of a recording by its files. ``unbreakable``: a holder keeps the conversations, so that
    they outlive who relays them (``rawlog_relay``). ``seal``: recordings are sealed with it. ``directory``: where to
    record when there is nothing in the home (``rawlog_dir``).
    """

    written: RawlogOptions | None
    keep_secrets: bool = True
    debug: bool = False
    trusted: frozenset[int] = frozenset((0,))
    limits: Limits = DEFAULT_LIMITS
    unbreakable: bool = False
    limit: Callable[[Mapping[Direction, FileSink]], Limit | None] = _unlimited
    seal: Seal | None = None
    directory: Template | None = None


class PostLogin:
    """Serves who comes through ``door``. ``report`` gets one line for each thing an operator should know."""

    def __init__(self, loop: Loop, keepers: Keepers, options: PostLoginOptions, report: Callable[[str], None]) -> None:
        self._loop = loop
        self._keepers = keepers
        self._options = options
        self._report = report
        self._reports = Reports(loop, report)
        self._flusher = Flusher(loop.call_later)
        self._sessions: set[Session | UnbreakableSession] = set()
        self._places: dict[str, None] = {}  # where there were files last time
        self.door = Door(loop, self._came, self._reports.tell)
        self._house = _unbreakable(loop, self.door, options, report) if options.unbreakable else None

    def flush(self) -> None:
        """Write what all recordings have waiting."""
        self._flusher.flush()

    def finish(self, reason: str) -> None:
        """End all conversations: what is queued is still delivered."""
        for session in list(self._sessions):
            session.finish(reason)
        if self._house is not None:
            self._house.finish(reason)

    def replace_workers(self) -> None:
        """Let new processes relay what goes on; no conversation ends."""
        if self._house is not None:
            self._house.replace_worker()

    # -- a request ----------------------------------------------------------------------------------------------------

    def _came(self, visitor: Visitor) -> None:
        try:
            if speaker(visitor.data) == DROPIN:
                self._adopt(visitor)
                return
            request = parse_request(visitor.data)
        except (FormatError, OSError) as error:
            peer = visitor.peer
            self._reports.tell(f"{error} (uid {peer.uid}, pid {peer.pid})", cause=str(error))
            visitor.close()
            return
        order = self._order(visitor, request)
        if isinstance(order, NotRecorded):
            self._decline(visitor, request, order)
            return
        login = Login(
            visitor,
            request,
            new_session=self._session,
            begin=self._begin,
            record=self._record,
            decline=self._decline,
        )
        if order.promise:
            self._keepers.ask(order, partial(self._made, order, login), login.promised)
            return
        login.promised()
        if login.relayed:
            ask = partial(self._keepers.ask, order, partial(self._made, order, login))
            if isinstance(login.session, Session):
                login.session.when_answered(ask, PATIENCE)
            else:  # nothing is relayed before there are files
                ask()

    def _made(self, order: Order, login: Login, made: Opened | NotRecorded) -> None:
        self._remember(order.place, made)
        login.answered(made)

    def _remember(self, place: str, made: Opened | NotRecorded) -> None:
        """Where there are files now, there will be some next time, and that login is not kept waiting."""
        self._places.pop(place, None)
        if isinstance(made, Opened):
            self._places[place] = None
            if len(self._places) > HOMES_LIMIT:
                del self._places[next(iter(self._places))]

    def _order(self, visitor: Visitor, request: Request) -> Order | NotRecorded:
        """What to ask the keepers for, or why this login is not to be recorded."""
        written, uid, gid = self._options.written, request.number("uid"), request.number("gid")
        if written is None:
            return NotRecorded("the options of the service are wrong", expected=True)
        directory = self._directory(request, visitor.peer.pid)
        if isinstance(directory, NotRecorded):
            return directory
        if not (request.home or directory):
            return NotRecorded("the userdb returned no home directory; see doveadm user -u USER (mail_home won't do)")
        if uid is None or gid is None:
            return NotRecorded("the userdb returned no uid and gid; see doveadm user -u USER")
        if visitor.peer.uid not in self._options.trusted and visitor.peer.uid != uid:
            return NotRecorded(f"uid {visitor.peer.uid} asked for uid {uid}; look at the mode of the post-login socket")
        if self.door.full:
            return NotRecorded("client_limit conversations are recorded already; raise it in service postlogin")
        if visitor.cut or len(visitor.fds) != 1:
            return NotRecorded(f"{len(visitor.fds)} descriptors came with the request; raise the limit of open files")
        order = Order(
            home="" if request.fields.get(DIRECTORY_FIELD) else request.home,
            uid=uid,
            gid=gid,
            pid=visitor.peer.pid,
            at=self._loop.now(),
            address=request.remote if written.address else "",
            directions=(written.only,) if written.only else _BOTH,
            behind=SEALED if self._options.seal else "",
            directory=directory,
        )
        certain = order.place in self._places and self._keepers.refusal(order.place) is None
        return order if certain else order._replace(promise=True)

    def _directory(self, request: Request, pid: int) -> str | NotRecorded:
        """Where to record besides the home; most often nowhere."""
        if self._options.directory is None and DIRECTORY_FIELD not in request.fields:
            return ""
        from rawlog.taps.postlogin_place import directory_of

        return directory_of(self._options.directory, request, pid)

    def _decline(self, visitor: Visitor, request: Request, why: NotRecorded) -> None:
        """The mail process keeps the client's descriptor."""
        self._tell(request.user, why)
        visitor.answer(request.answer, None, lambda _: visitor.close())

    def _tell(self, user: str, why: NotRecorded) -> None:
        if self._options.debug or not why.expected:
            self._reports.tell(f"rawlog({shown(user)}): not recorded: {why.reason}", cause=why.reason)

    # -- a recording --------------------------------------------------------------------------------------------------

    def _session(self, client: SocketType, server: SocketType) -> Session | UnbreakableSession:
        if self._house is None:
            return self._ordinary(client, server, self._ended)
        from rawlog.taps.unbreakable_session import UnbreakableSession

        return UnbreakableSession(self._house, client, server, ordinary=self._ordinary, on_end=self._ended)

    def _ordinary(self, client: SocketType, server: SocketType, on_end: Callable[[Session], None]) -> Session:
        keep, limits = self._options.keep_secrets, self._options.limits
        return Session(self._loop, client, server, keep_secrets=keep, on_end=on_end, limits=limits)

    def _record(self, session: Session | UnbreakableSession, user: str, made: Opened | NotRecorded) -> None:
        """Brings a session its files; without them it goes on unrecorded."""
        if isinstance(made, Opened):
            assert self._options.written is not None
            self._give(session, user, self._options.written, made.sinks)
        else:
            self._tell(user, made)
            session.record(None)

    def _give(
        self,
        session: Session | UnbreakableSession,
        user: str,
        written: RawlogOptions,
        sinks: Mapping[Direction, FileSink],
    ) -> None:
        """The files, to whoever writes them."""
        if isinstance(session, Session):
            session.record(self._recorder(user, written, sinks))
            return
        from rawlog.taps.unbreakable_place import Card, numbers

        files = [(direction, sink.name) for direction, sink in sinks.items()]
        keep = self._options.keep_secrets
        most, floor = numbers(self._options.limit(sinks))
        card = Card(f"rawlog({shown(user)})", written.stamps, written.boundaries, keep, files, most, floor)
        session.hand_over(card, sinks, lambda: self._recorder(user, written, sinks))

    def _recorder(self, user: str, written: RawlogOptions, sinks: Mapping[Direction, FileSink]) -> Recorder:
        encoder = PairEncoder(written.stamps, written.boundaries)
        name = f"rawlog({shown(user)})"
        limit, seal = self._options.limit(sinks), self._options.seal
        if seal is not None:
            sinks = seal.over(sinks)
        return Recorder(encoder, sinks, name=name, report=self._report, flusher=self._flusher, limit=limit)

    def _begin(self, session: Session | UnbreakableSession, answered: bool) -> None:
        self._sessions.add(session)
        if answered:
            session.start()
        else:
            session.abort("the mail process is gone")
        self.door.relayed(len(self._sessions))

    def _ended(self, session: Session | UnbreakableSession) -> None:
        self._sessions.discard(session)
        self.door.relayed(len(self._sessions))

    # -- the drop-in --------------------------------------------------------------------------------------------------

    def _adopt(self, visitor: Visitor) -> None:
        """A drop-in would like us to relay. Nothing is touched before it has said that it knows."""
        adopted = adopt(visitor.data, visitor.fds)
        visitor.fds.clear()

        def confirmed(yes: bool) -> None:
            if yes:
                session = self._session(adopted.client, adopted.server)
                self._give(session, adopted.user, adopted.written, adopted.sinks)
                self._begin(session, answered=True)
            else:
                adopted.close()
            visitor.close()

        visitor.answer(b"+", None, lambda done: visitor.confirm(confirmed) if done else confirmed(False))


def _unbreakable(loop: Loop, door: Door, options: PostLoginOptions, report: Callable[[str], None]) -> Unbreakable:
    """Who has the conversations that nothing breaks. Loaded only where it is wanted: it takes as much as 400 more."""
    from rawlog.taps.unbreakable import Unbreakable

    return Unbreakable(loop, door, limits=options.limits, report=report)
