"""Some families of keras.applications in their narrow form on the CUDA backend's host execution: see narrow.py."""
import sys

import narrow

sys.exit(narrow.main(False))
