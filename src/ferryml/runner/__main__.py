"""Entry of the runner: `python -I -S FOLDER_OR_ZIP --folder F`, with any Python >= 3.8 and nothing installed."""

import os
import sys
import types

if not __package__:
    sys.path.pop(0)  # our own folder: its modules must not stand before those of the standard library
    # A bare parent package: the real one may import what this interpreter does not have.
    _parent = types.ModuleType("ferryml")
    _parent.__path__ = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
    sys.modules["ferryml"] = _parent

from ferryml.runner.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
