"""Rawlog: the recorder of mail-protocol conversations.

Knows: the version, and the public names, which are loaded when they are first used so that ``import rawlog`` stays
cheap. Must not know: how any of them works.
"""

from __future__ import annotations

__version__ = "0.1.0"
