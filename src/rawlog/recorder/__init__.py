"""Where a recording is kept: names, files, buffers, gaps."""
