"""A fake kubectl. It records its calls, and forwards a port to a scheduler that a test starts.

The folder FAKE_KUBECTL_DIR has `calls` (one line per call), `exists` (while the objects exist), and
`scheduler_port` (the port of the scheduler that runs instead of the pod's).
"""

import os
import shutil
import socket
import sys
import threading
from pathlib import Path

import yaml

FOLDER = Path(os.environ.get("FAKE_KUBECTL_DIR", ""))


def fail(line):
    print(line, file=sys.stderr)  # noqa: T201
    sys.exit(1)


def option_value(words, flag):
    return words[words.index(flag) + 1]


def get(words):
    if (FOLDER / "exists").exists():
        print("daskcluster.kubernetes.dask.org/toytip")  # noqa: T201


def create(words):
    assert not (FOLDER / "exists").exists()
    assert option_value(words, "--output").startswith("jsonpath=")
    (FOLDER / "exists").touch()
    for document in yaml.safe_load_all(Path(option_value(words, "--filename")).read_text()):
        meta = document["metadata"]
        print(document["kind"], meta["namespace"], meta["name"])  # noqa: T201


def delete(words):
    assert Path(option_value(words, "--filename")).exists()
    (FOLDER / "exists").unlink(missing_ok=True)


def port_forward(words):
    if not (FOLDER / "scheduler_port").exists():
        fail("error: unable to forward port because pod is not running. Current status=Pending")
    port = int((FOLDER / "scheduler_port").read_text())
    with socket.create_server(("127.0.0.1", int(words[-1].partition(":")[0]))) as server:
        while True:
            near, _ = server.accept()
            far = socket.create_connection(("127.0.0.1", port))
            for pair in ((near, far), (far, near)):
                threading.Thread(target=forward_bytes, args=pair, daemon=True).start()


def forward_bytes(source, target):
    with source.makefile("rb", buffering=0) as reader, target.makefile("wb", buffering=0) as writer:
        shutil.copyfileobj(reader, writer)
    target.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    with (FOLDER / "calls").open("a") as calls:
        calls.write(" ".join(sys.argv[1:]) + "\n")
    handlers = {"get": get, "create": create, "delete": delete, "port-forward": port_forward, "scale": id}
    handlers[sys.argv[1]](sys.argv[1:])
