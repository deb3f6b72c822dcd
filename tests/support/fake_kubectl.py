"""A stand-in for kubectl: it writes down what it is asked, and forwards a port to where a test says the scheduler is.

The folder KUBECTL has `asked`, a line for each call; `made` while the manifest's objects are there; `scheduler`, the port
of a scheduler that runs in place of the pod.
"""

import os
import shutil
import socket
import sys
import threading
from pathlib import Path

import yaml

FOLDER = Path(os.environ.get("KUBECTL", ""))


def fail(line):
    print(line, file=sys.stderr)  # noqa: T201
    sys.exit(1)


def option_value(words, flag):
    return words[words.index(flag) + 1]


def get(words):
    if (FOLDER / "made").exists():
        print("daskcluster.kubernetes.dask.org/toytip")  # noqa: T201


def create(words):
    assert not (FOLDER / "made").exists()
    assert option_value(words, "--output").startswith("jsonpath=")
    (FOLDER / "made").touch()
    for document in yaml.safe_load_all(Path(option_value(words, "--filename")).read_text()):
        meta = document["metadata"]
        print(document["kind"], meta["namespace"], meta["name"])  # noqa: T201


def delete(words):
    assert Path(option_value(words, "--filename")).exists()
    (FOLDER / "made").unlink(missing_ok=True)


def port_forward(words):
    if not (FOLDER / "scheduler").exists():
        fail("error: unable to forward port because pod is not running. Current status=Pending")
    port = int((FOLDER / "scheduler").read_text())
    with socket.create_server(("127.0.0.1", int(words[-1].partition(":")[0]))) as server:
        while True:
            near, _ = server.accept()
            far = socket.create_connection(("127.0.0.1", port))
            for pair in ((near, far), (far, near)):
                threading.Thread(target=forward_bytes, args=pair, daemon=True).start()


def forward_bytes(source, target):
    with source.makefile("rb", buffering=0) as here, target.makefile("wb", buffering=0) as there:
        shutil.copyfileobj(here, there)
    target.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    with (FOLDER / "asked").open("a") as asked:
        asked.write(" ".join(sys.argv[1:]) + "\n")
    handlers = {"get": get, "create": create, "delete": delete, "port-forward": port_forward, "scale": id}
    handlers[sys.argv[1]](sys.argv[1:])
