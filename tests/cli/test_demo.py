"""``rawlog demo``: five protocols over TLS, recorded and shown, and nothing left behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from rawlog.demo.server import USERS


def test_the_demonstration(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rawlog", "demo", "--dir", str(tmp_path / "kept")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for words in ("APPEND INBOX", "IDLE", "STLS", "RETR 1", "AUTH PLAIN", "lhlo", 'PUTSCRIPT "demo"'):
        assert words in done.stdout
    kept = {path.relative_to(tmp_path / "kept").parts[0] for path in (tmp_path / "kept").rglob("*.in")}
    assert kept == {"imap", "pop3", "smtp", "lmtp", "managesieve"}
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in (tmp_path / "kept").rglob("*.*") if path.is_file())
    for password in USERS.values():
        assert password not in done.stdout + done.stderr
        assert not any(password.encode() in path.read_bytes() for path in (tmp_path / "kept").rglob("*.in"))


def test_without_the_extra_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['pymap'] = None; from rawlog.cli import main; sys.exit(main(['demo']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "rawlog[demo]" in done.stderr
    assert done.stderr.count("\n") == 1
