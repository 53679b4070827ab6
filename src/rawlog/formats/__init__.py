"""How a recording is written down: encoders and decoders, one file per format, pure."""
