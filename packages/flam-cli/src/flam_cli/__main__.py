"""``python -m flam_cli`` is ``queuectl``."""

import sys

from flam_cli.app import main

if __name__ == "__main__":
    sys.exit(main())
