"""`python3 -m tally_export`."""

import sys

from tally_export.command import main

sys.exit(main())
