"""The embedded mail server: five protocols over TLS, for the demonstration and for tests.

Knows: how to run a small but real mail server in a process of its own, on 127.0.0.1 only, with certificates and users
that live as long as it does. Must not know: recording. To the rest of the house it is one more mail server.

It needs the extra ``[demo]``; nothing of that extra is imported before :class:`DemoServer` is started.
"""

from rawlog.demo.server import DemoServer

__all__ = ["DemoServer"]
