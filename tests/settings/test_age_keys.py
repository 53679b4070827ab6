"""Keys of age as people write them: those of age-keygen are taken, everything else is refused with what to do."""

from __future__ import annotations

import pytest

from rawlog.errors import ConfigError
from rawlog.settings.age_keys import identities, identity, recipient

PUBLIC = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
SECRET = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
"""A key of 32 bytes 0x42, as the package pyrage writes it."""


def test_the_keys_of_age_keygen() -> None:
    assert identity(SECRET) == b"\x42" * 32
    assert len(recipient(PUBLIC)) == 32
    assert recipient(PUBLIC.upper()) == recipient(PUBLIC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "age1",
        "ssh-ed25519 AAAA",
        PUBLIC[:-1],
        PUBLIC[:-1] + "q",
        PUBLIC.replace("zv", "vz"),
        PUBLIC[:10] + PUBLIC[10:].upper(),
        PUBLIC + "q",
        "xge1" + PUBLIC[4:],
        PUBLIC[:8] + "b" + PUBLIC[9:],
        SECRET,
        "age1\u0131" + PUBLIC[5:],
    ],
)
def test_what_is_no_recipient(text: str) -> None:
    with pytest.raises(ConfigError, match=r"is no recipient of age: write .* age1\.\.\."):
        recipient(text)


def test_an_error_does_not_repeat_a_secret_key() -> None:
    for text in (SECRET[:-1], SECRET[:-1] + "Q", PUBLIC):
        with pytest.raises(ConfigError) as error:
            identity(text)
        assert text not in str(error.value)


def test_a_file_of_identities() -> None:
    text = f"# created: 2026-11-22T10:45:00Z\n# public key: {PUBLIC}\n{SECRET}\n\n"
    assert identities(text, "key.txt") == [b"\x42" * 32]
    with pytest.raises(ConfigError, match=r"^key\.txt: line 2: no identity of age"):
        identities(f"{SECRET}\nnonsense\n", "key.txt")
    with pytest.raises(ConfigError, match=r"^key\.txt: no identity in it; give the file that age-keygen wrote"):
        identities("# nothing\n", "key.txt")
