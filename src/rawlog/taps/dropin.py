"""``rawlog [-f in|out] [-b] [-t] [-I] PROGRAM [ARGUMENTS]``: what Dovecot's ``rawlog`` binary does.

Knows: how script-login runs a post-login program: descriptors 0 and 1 are the client's socket, 3 leads back to the
mail process, the environment says who logged in. Must not know: how bytes are relayed and recorded.

It is executed at every login, so it imports only what the interpreter has loaded anyway; the engine is imported by the
child, while the mail program starts. This process becomes the program: it keeps the pid that Dovecot watches. Whatever
goes wrong here, the program is executed and the user gets mail; a refused login is the one thing that must not happen.
"""

from __future__ import annotations

import os
import stat
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Mapping, Sequence
    from typing import NoReturn

USAGE = "usage: rawlog [-f in|out] [-b] [-t] [-I] PROGRAM [ARGUMENTS]"
TRIES = 100
"""Names that are tried for one recording: Dovecot gives up at the first one that is taken."""

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_APPEND
_SIGPIPE, _SIGXFSZ, _DEFAULT = 13, 25, 0
_ADDRESS = frozenset("0123456789abcdefABCDEF.:")


class Options:
    """What was asked for. ``wrong``: what is wrong with it, in a few words; then nothing is recorded."""

    __slots__ = ("address", "boundaries", "directions", "program", "stamps", "wrong")

    def __init__(self) -> None:
        self.boundaries = self.stamps = self.address = False
        self.directions = ["in", "out"]
        self.program: list[str] = []
        self.wrong = ""


def parse(words: Sequence[str]) -> Options:
    """Reads the options as getopt does: letters may be joined, ``--`` ends them, the rest is the program.

    Both filters together leave no file, as in Dovecot.
    """
    options, rest = Options(), list(words)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        _take_letters(options, word[1:], rest)
    options.program = rest
    return options


def _take_letters(options: Options, letters: str, rest: list[str]) -> None:
    for place, letter in enumerate(letters):
        if letter == "b":
            options.boundaries = True
        elif letter == "t":
            options.stamps = True
        elif letter == "I":
            options.address = True
        elif letter == "f":
            wanted = letters[place + 1 :] or (rest.pop(0) if rest else "")
            if wanted in ("in", "out"):
                options.directions = [one for one in options.directions if one == wanted]
            else:
                options.wrong = options.wrong or f"-f {shown(wanted)}: use -f in or -f out"
            return
        else:
            options.wrong = options.wrong or f"-{shown(letter)}: no such option"


def is_dropin(words: Sequence[str]) -> bool:
    """Whether a command line of ``rawlog`` is this one: the first word that is not an option contains a ``/``."""
    return any("/" in word for word in parse(words).program[:1])


def main(words: Sequence[str]) -> int:
    """Becomes the program; returns an exit code only when there is none to become."""
    options = parse(words)
    if not options.program:
        say(options.wrong or "no program to run", USAGE)
        return 2
    try:
        if options.wrong:
            say(f"not recorded: {options.wrong}; correct it in service postlogin", USAGE)
        else:
            record(options)
    except Exception as error:  # whatever it is: the user gets mail
        say(f"not recorded: {type(error).__name__}: {error}; please report it")
    return execute(options.program)


def say(*sentences: str) -> None:
    """One line to standard error, where Dovecot's log takes it from."""
    user = os.environ.get("USER", "")
    line = f"rawlog({shown(user)}): {'; '.join(sentences)}\n" if user else f"rawlog: {'; '.join(sentences)}\n"
    try:
        os.write(2, line.encode(errors="surrogateescape"))
    except OSError:  # nobody listens
        return


def shown(text: str) -> str:
    """A text as it may stand in a log."""
    return text if text.isprintable() else ascii(text)[1:-1]


# -- whether ----------------------------------------------------------------------------------------------------------


def record(options: Options) -> None:
    """Puts a recorder between the client and the program, or says why not."""
    directory = _directory()
    if directory is None or not options.directions or not _fitting():
        return
    try:
        place = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        say(f"not recorded: {shown(directory)} can't be opened: {error.strerror}")
        return
    try:
        files = open_files(place, directory, _stem(options), options.directions, ".age" * bool(_recipients()))
    except OSError as error:
        say(f"not recorded: no file can be made in {shown(directory)}: {error.strerror}; look at its owner and mode")
        return
    finally:
        os.close(place)
    _begin(options, files)


def _directory() -> str | None:
    """The user's dovecot.rawlog, if it is there."""
    home = os.environ.get("HOME", "")
    if not home:
        say("not recorded: no home directory in the environment; let the userdb return one (doveadm user -u USER)")
        return None
    path = f"{os.environ.get('RESTRICT_CHROOT', '')}{home.rstrip('/')}/dovecot.rawlog"
    debug = "DEBUG" in os.environ
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        if debug:
            say(f"not recorded: {shown(path)} doesn't exist; make it (mkdir) to record")
        return None
    except OSError as error:
        say(f"not recorded: {shown(path)} can't be looked at: {error.strerror}")
        return None
    if stat.S_ISDIR(mode):
        return path
    if debug:
        what = "is a symbolic link, it" if stat.S_ISLNK(mode) else "it"
        say(f"not recorded: {shown(path)} is not a directory; {what} must be a directory itself")
    return None


def _fitting() -> bool:
    """Whether we are where script-login -d puts a program: not root, one socket as standard input and output."""
    if os.geteuid() == 0:
        say("not recorded: running as root, whose files the user could not read; use script-login -d")
        return False
    client, output = os.fstat(0), os.fstat(1)
    if stat.S_ISSOCK(client.st_mode) and (client.st_dev, client.st_ino) == (output.st_dev, output.st_ino):
        return True
    say("not recorded: standard input and output are not one socket; run this from script-login of Dovecot")
    return False


# -- where ------------------------------------------------------------------------------------------------------------


def _stem(options: Options) -> str:
    """``[IP-]yyyymmdd-HHMMSS-pid``, in local time, as Dovecot names them."""
    address = "".join(letter for letter in os.environ.get("IP", "") if letter in _ADDRESS) if options.address else ""
    return f"{address}-" * bool(address) + time.strftime("%Y%m%d-%H%M%S-") + str(os.getpid())


def open_files(
    place: int, directory: str, stem: str, directions: Sequence[str], behind: str = ""
) -> list[tuple[str, int, str]]:
    """Makes the files of one recording in the directory ``place``: (direction, descriptor, path) for each.

    A name that is taken gets ``.2`` and so on; ``behind`` is what names end with. Raises OSError, and leaves nothing
    behind then.
    """
    for number in range(1, TRIES + 1):
        name = stem if number == 1 else f"{stem}.{number}"
        files: list[tuple[str, int, str]] = []
        try:
            for direction in directions:
                fd = os.open(f"{name}.{direction}{behind}", _NEW_FILE, 0o600, dir_fd=place)
                files.append((direction, fd, f"{directory}/{name}.{direction}{behind}"))
            return files
        except OSError as error:
            for direction, fd, _ in files:
                os.close(fd)
                os.unlink(f"{name}.{direction}{behind}", dir_fd=place)
            if not isinstance(error, FileExistsError):
                raise
    raise FileExistsError(17, f"{TRIES} names in a row are taken")


# -- between client and program ---------------------------------------------------------------------------------------


def _begin(options: Options, files: list[tuple[str, int, str]]) -> None:
    """Descriptors 0 and 1 become one end of a pair of sockets; a relay joins the other end with the client."""
    import _socket

    ours, theirs = _socket.socketpair()
    ours.setblocking(False)  # before anything is duplicated; the program's end stays as programs expect it
    if (_recipients() or not _handed_over(options, ours, files)) and os.fork() == 0:
        _relay(options, ours, files)
    os.dup2(theirs.fileno(), 0)
    os.dup2(theirs.fileno(), 1)
    ours.close()
    theirs.close()
    for _, fd, _ in files:
        os.close(fd)


def _handed_over(options: Options, ours: socket, files: list[tuple[str, int, str]]) -> bool:
    """Whether a service that runs already takes it all; then no process of our own is needed."""
    from rawlog.taps.dropin_handover import hand_over

    flags = "b" * options.boundaries + "t" * options.stamps
    return hand_over(0, ours.fileno(), files, flags=flags, user=os.environ.get("USER", ""))


def _relay(options: Options, ours: socket, files: list[tuple[str, int, str]]) -> NoReturn:
    """The child: relays until both sides are done. What it holds for itself must not keep a socket open."""
    code = 1
    try:
        import gc

        gc.disable()  # nothing of what is loaded now will ever be freed
        from rawlog.taps.dropin_relay import relay

        gc.freeze()
        gc.enable()
        words = {"stamps": options.stamps, "boundaries": options.boundaries}
        relay(0, ours.detach(), files, **words, say=say, recipients=_recipients())
        code = 0
    except BaseException as error:
        say(f"the relay failed: {type(error).__name__}: {error}; please report it")
    finally:
        os._exit(code)


def _recipients() -> list[str]:
    """For whom recordings are sealed: public keys of age."""
    return os.environ.get("RAWLOG_RECIPIENT", "").split()


def execute(program: Sequence[str]) -> int:
    """Becomes the program, with the environment we were given; returns an exit code when that is not possible."""
    import _signal  # type: ignore[import-not-found]  # the core of signal, without its enums

    for number in (_SIGPIPE, _SIGXFSZ):  # Python ignores them, and an ignored signal stays ignored
        _signal.signal(number, _DEFAULT)
    try:
        os.execve(program[0], list(program), environment())
    except OSError as error:
        say(f"{shown(program[0])} can't be run: {error.strerror}")
        return 126 if isinstance(error, PermissionError) else 127


def environment() -> Mapping[bytes, bytes]:
    """What we were given. Python adds LC_CTYPE to its own (PEP 538), and that is not ours to hand on."""
    try:
        with open("/proc/self/environ", "rb") as file:
            entries = file.read().split(b"\0")
    except OSError:
        return dict(os.environb)
    return {name: value for name, equals, value in (entry.partition(b"=") for entry in entries) if equals}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
