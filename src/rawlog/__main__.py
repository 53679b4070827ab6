"""``python -m rawlog``: the same as the command ``rawlog``. Knows: nothing else. Must not know: anything else."""

from __future__ import annotations

import sys

from rawlog.cli import main

sys.exit(main())
