import sys

from limpid_convert.cli import main

sys.exit(main())
