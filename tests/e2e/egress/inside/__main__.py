"""Makes the attempts of a group: ``python3 -m e2e.egress.inside GROUP`` with the scene as JSON on standard input."""

import importlib
import json
import sys

if __name__ == "__main__":
    group = importlib.import_module(f"{__package__}.{sys.argv[1]}").GROUP
    print(json.dumps(group.make(json.load(sys.stdin))))
