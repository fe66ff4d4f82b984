"""`python -m composer` is the command `arch-composer`."""

from __future__ import annotations

import sys

from composer.cli import main

sys.exit(main())
