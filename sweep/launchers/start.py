"""The first file of a worker process, which :mod:`sweep.launchers.process` runs as a script.

Python starts in isolated mode (``-I``): neither the working folder, nor the environment, nor the
user's own site folder can put a module, or code of theirs, in front of ours. Isolated mode does not
find this project either where it lies in a checkout. So the driver says where its packages are, and
this script loads those very ones before anything else. Until then it imports the standard library
only.
"""

from __future__ import annotations

import importlib.util
import json
import socket
import sys


def load_package(name: str, folder: str) -> None:
    """Imports a package from its folder, whatever else of that name ``sys.path`` has."""
    spec = importlib.util.spec_from_file_location(
        name, f"{folder}/__init__.py", submodule_search_locations=[folder]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


def main() -> None:
    """Loads the driver's packages, and serves the driver."""
    told = json.loads(sys.argv[1])
    end = socket.socket(fileno=told["socket"])
    # The programs that a worker starts get no end of the channel.
    end.set_inheritable(False)
    # Last, so that they add what the interpreter's own folders lack, and hide nothing.
    sys.path.extend(folder for folder in told["libraries"] if folder not in sys.path)
    for name, folder in told["packages"].items():
        load_package(name, folder)
    from sweep.launchers.worker import serve

    serve(end, told["runner"])


if __name__ == "__main__":
    main()
