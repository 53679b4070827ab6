"""How bytes move: sockets, TLS, timers; no mail."""
