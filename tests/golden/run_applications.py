"""One model of each of ten families of keras.applications: see applications.py."""
import sys

import applications

sys.exit(applications.main(False))
