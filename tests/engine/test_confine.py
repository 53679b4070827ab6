"""What a process takes from itself: told to the kernel as its version wants it, and then really gone."""

from __future__ import annotations

import ast
import ctypes
import errno
import os
import struct
from pathlib import Path

import pytest

from rawlog.engine import confine as module
from rawlog.engine.confine import (
    CREATE,
    EVERYTHING,
    READ,
    READ_DIR,
    READ_FILE,
    Rules,
    call_it,
    close_to_others,
    confine,
    drop_capabilities,
    landlock_version,
    no_new_privileges,
)
from tests.support.probes import (
    CHANGES,
    NETWORK,
    PROGRAMS,
    READS,
    Stage,
    in_a_process,
    needs_landlock,
    needs_network_rules,
    own_state,
    state_of,
)


class Kernel:
    """A kernel with a version of Landlock; keeps what it was told. ``broken``: the call that fails."""

    def __init__(self, version: int, broken: int = 0) -> None:
        self.version = version
        self.broken = broken
        self.handled: tuple[int, ...] = ()
        self.rules: list[tuple[int, tuple[int, ...]]] = []
        self.restricted = False

    def __call__(self, number: int, *words: object) -> int:
        if number == self.broken:
            return -errno.EINVAL
        if number == 444 and words == (None, 0, 1):
            return self.version or -errno.ENOSYS
        if number == 444:
            attributes, size, flags = words
            assert isinstance(attributes, bytes)
            assert (len(attributes), flags) == (size, 0)
            self.handled = struct.unpack("=QQ" if self.version >= 4 else "=Q", attributes)
            return os.open("/dev/null", os.O_RDONLY)
        if number == 445:
            _, kind, attributes, _ = words
            assert isinstance(attributes, bytes)
            assert isinstance(kind, int)
            self.rules.append((kind, struct.unpack("=Qi" if kind == 1 else "=QQ", attributes)))
            return 0
        assert number == 446
        self.restricted = True
        return 0


def told(version: int, rules: Rules) -> Kernel:
    """What a kernel is told; in this process nothing changes but that no program gets more rights than it has."""
    kernel = Kernel(version)
    assert confine(rules, kernel) is bool(version)
    return kernel


@pytest.fixture(autouse=True)
def _no_prctl(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process of the tests stays as it is."""
    home = os.getpid()
    real = module._prctl
    monkeypatch.setattr(module, "_prctl", lambda *words: real(*words) if os.getpid() != home else None)


# -- what the kernel is told ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "bits", "net"),
    [(1, 13, None), (2, 14, None), (3, 15, None), (4, 15, 3), (5, 16, 3), (6, 16, 3), (7, 16, 3), (99, 16, 3)],
)
def test_each_version_is_told_what_it_knows(version: int, bits: int, net: int | None) -> None:
    kernel = told(version, Rules([("/", EVERYTHING)], connect=[143]))
    assert kernel.handled == ((1 << bits) - 1, *(() if net is None else (net,)))
    assert kernel.rules[0][1][0] == (1 << bits) - 1
    assert [rule for kind, rule in kernel.rules if kind == 2] == ([] if net is None else [(2, 143)])
    assert kernel.restricted


@pytest.mark.parametrize(
    ("connect", "bind", "net"), [((), False, 3), (None, False, 1), ((25,), True, 2), (None, True, 0)]
)
def test_the_network(connect: tuple[int, ...] | None, bind: bool, net: int) -> None:
    assert told(7, Rules(connect=connect, bind=bind)).handled[1] == net


def test_without_landlock_nothing_is_told_and_that_is_said() -> None:
    kernel = told(0, Rules([("/", READ)]))
    assert not kernel.restricted
    assert kernel.rules == []
    assert landlock_version(kernel) == 0


def test_a_file_gets_rights_of_a_file_only(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    kernel = told(7, Rules([(str(path), READ | CREATE), (str(tmp_path), READ), (str(path), READ_DIR)]))
    assert [rule[0] & READ_DIR for _, rule in kernel.rules] == [0, READ_DIR]
    assert kernel.rules[0][1][0] & READ_FILE


def test_what_is_not_there_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert told(7, Rules([(f"{tmp_path}/no", READ), (f"{tmp_path}/file/no", READ)])).rules == []


@pytest.mark.parametrize("broken", [444, 445, 446])
def test_a_kernel_that_refuses_is_an_error_and_no_descriptor_is_left(broken: int, tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    kernel = Kernel(7, broken)
    if broken == 444:
        assert not confine(Rules([(str(tmp_path), READ)]), kernel)
    else:
        with pytest.raises(OSError, match="Landlock: Invalid argument"):
            confine(Rules([(str(tmp_path), READ)]), kernel)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


# -- what is gone then ------------------------------------------------------------------------------------------------


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_the_probes_work_where_nothing_is_forbidden(stage: Stage) -> None:
    names = [*READS, *CHANGES, *NETWORK, *PROGRAMS]
    missing = set(names) - set(ast.literal_eval(in_a_process(lambda: stage.tried(names))))
    assert missing <= {"rename a recording", "make a device"}  # it is gone by then; only root may


@needs_landlock
def test_without_a_rule_nothing_works(stage: Stage) -> None:
    names = [*READS, *CHANGES, *PROGRAMS]
    assert in_a_process(lambda: [confine(Rules()), *stage.tried(names)]) == "[True]"


@needs_network_rules
def test_without_a_port_nothing_is_reached(stage: Stage) -> None:
    assert in_a_process(lambda: [confine(Rules()), *stage.tried(NETWORK)]) == "[True]"
    only = Rules(connect=[stage.port])
    assert in_a_process(lambda: [confine(only), *stage.tried(NETWORK)]) == "[True, 'connect']"


@needs_landlock
def test_files_can_be_made_and_written_where_that_is_allowed_and_not_read_nor_removed(stage: Stage) -> None:
    def life() -> list[object]:
        confine(Rules([(str(stage.raw), CREATE)]))
        fd = os.open(stage.raw / "new", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        size = os.write(fd, b"data")
        os.ftruncate(fd, 2)
        return [size, *stage.tried([*READS, *CHANGES])]

    assert in_a_process(life) == "[4]"
    assert (stage.raw / "new").read_bytes() == b"da"


@needs_landlock
def test_it_is_for_good_and_for_children_too(stage: Stage) -> None:
    def life() -> list[str]:
        confine(Rules())
        confine(Rules([("/", EVERYTHING)], connect=None, bind=True))
        read = in_a_process(lambda: stage.tried(["read a secret"]))
        return [*stage.tried(["read a secret"]), read]

    assert in_a_process(life) == "['[]']"


def test_nobody_else_looks_into_the_memory_and_no_core_is_dumped() -> None:
    def life() -> list[object]:
        close_to_others()
        state = own_state()
        return [state["dumpable"], state["core"]]

    assert in_a_process(life) == "[0, 0]"


def test_no_program_gets_more_rights_than_we_have() -> None:
    def life() -> int:
        no_new_privileges()
        return own_state()["no_new_privs"]

    assert in_a_process(life) == "1"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has capabilities to give up")
def test_an_ordinary_user_keeps_no_right_of_root() -> None:
    def life() -> list[str]:
        ctypes.CDLL(None).prctl(8, 1, 0, 0, 0)  # PR_SET_KEEPCAPS
        os.setresuid(65534, 65534, 65534)
        before = state_of(os.getpid())["CapPrm"]
        drop_capabilities()
        return [before, *(state_of(os.getpid())[name] for name in ("CapPrm", "CapEff", "CapInh"))]

    before, *after = ast.literal_eval(in_a_process(life))
    assert int(before, 16)
    assert after == ["0" * 16] * 3


def test_root_stays_root_unless_it_becomes_somebody() -> None:
    def life() -> bool:
        before = state_of(os.getpid())["CapEff"]
        drop_capabilities()
        return os.geteuid() != 0 or state_of(os.getpid())["CapEff"] == before

    assert in_a_process(life) == "True"


def test_a_process_has_a_name_of_its_own() -> None:
    def life() -> str:
        call_it("rawlog-with-a-long-name")
        return Path("/proc/self/comm").read_text()

    assert in_a_process(life) == repr("rawlog-with-a-l\n")
