"""Acting as a user: the effective ids and the groups of a process of root, and nothing else of it.

Knows: ids. Must not know: what is done with the rights of a user. Real and saved ids stay root's: so the process can
become the next user, and no user can stop or inspect it. Only for a process with one thread.
"""

from __future__ import annotations

import os


def act_as(uid: int, gid: int) -> None:
    """Takes on the rights of a user, for as long as those of another are not asked for. ``uid`` is not 0.

    Who acts as that user already goes on; an ordinary user, who can be nobody else, keeps its own groups. Raises
    OSError when it can't be; this process is root then, or the ordinary user that it was.
    """
    ids = os.getresuid()
    is_root = 0 in ids
    if ids[1] == uid and (not is_root or os.getegid() == gid):
        return
    if not is_root:
        raise PermissionError(f"uid {ids[1]} can't act as uid {uid}")
    os.setresuid(-1, 0, -1)  # the user before could not change groups
    try:
        os.setgroups([gid])
        os.setresgid(-1, gid, -1)
        os.setresuid(-1, uid, -1)  # the last step: who has this uid has the groups, too
        if (os.geteuid(), os.getegid()) != (uid, gid):
            raise PermissionError(f"uid {uid} and gid {gid} can't be taken on")
    except OSError:
        os.setresuid(-1, 0, -1)
        raise
