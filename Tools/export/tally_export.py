#!/usr/bin/env python3
"""Runs the exporter from a clone, with nothing installed but the libraries it needs.

    python3 Tools/export/tally_export.py --help
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "src"))

from tally_export.command import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
