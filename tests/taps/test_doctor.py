"""The doctor's whole way."""

from __future__ import annotations

from rawlog.engine.confine import landlock_version
from rawlog.settings.loader import loads
from rawlog.taps.doctor import confinement, examine
from rawlog.taps.doctor_finding import Mark

TEXT = """\
protocols = imap
ssl = no
listen = 127.0.0.1
protocol imap {
  rawlog_backend = imap://127.0.0.1:1
}
"""


def test_a_configuration_without_gateways() -> None:
    (found,) = [finding for finding in examine(loads("ssl = no\n"), None) if finding.mark is Mark.FAIL]
    assert "rawlog_backend" in found.sentence


def test_the_users_record_is_told() -> None:
    text = TEXT + "userdb { \n  driver = static\n  args = uid=7 gid=8 home=/home/%u\n}\n"
    sentences = {finding.sentence: finding.mark for finding in examine(loads(text), "bob")}
    assert sentences["user bob: uid 7, gid 8, home /home/bob"] is Mark.OK
    assert any(sentence.startswith("imap: rawlog_backend") for sentence in sentences)


def test_a_user_without_home_or_without_userdb_is_told() -> None:
    text = TEXT + "userdb { \n  driver = static\n  args = uid=7 gid=8\n}\n"
    assert any("nothing can be recorded in a home" in finding.sentence for finding in examine(loads(text), "bob"))
    assert any("no userdb" in finding.sentence for finding in examine(loads(TEXT), "bob"))


def test_an_unknown_user_fails(tmp_path) -> None:
    (tmp_path / "users").write_text("bob::7:8::/home/bob::\n")
    text = TEXT + f"userdb {{ \n  driver = passwd-file\n  args = {tmp_path}/users\n}}\n"
    failures = [finding.sentence for finding in examine(loads(text), "eve") if finding.mark is Mark.FAIL]
    assert any("no userdb knows this user" in sentence for sentence in failures)


def test_whether_the_kernel_keeps_processes_to_their_work() -> None:
    assert list(examine(loads(TEXT), None))[-1] == confinement(landlock_version())
    assert [confinement(version).mark for version in (0, 1, 3, 4, 7)] == [Mark.WARN] * 3 + [Mark.OK] * 2
    assert "has no Landlock" in confinement(0).sentence
    assert "not to their connections" in confinement(3).sentence
