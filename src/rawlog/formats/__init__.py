"""How a recording is written down: encoders and decoders, pure."""
