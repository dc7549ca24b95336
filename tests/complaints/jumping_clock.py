"""Drives a study, as :mod:`tests.sweep.fakes` does, under a wall clock that is set back meanwhile.

``python -m tests.complaints.jumping_clock STUDY_FILE FOLDER``: the clock is set back by an hour
once FOLDER exists.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

real = time.time
time.time = lambda: real() - (3600 if Path(sys.argv[2]).exists() else 0)

from tests.sweep import fakes  # noqa: E402

fakes.main()
