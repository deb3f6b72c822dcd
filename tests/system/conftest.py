"""An S3 server for the suites that kill runs."""

import pytest

from tests.support import s3_server
from toytip.core.access import StorageOptions
from toytip.io.s3 import S3FileIO


@pytest.fixture(scope="module")
def server(tmp_path_factory, synthetic):
    """An S3 server that has the source, and the environment that connects to it."""
    with (
        s3_server.run_s3_server(tmp_path_factory.mktemp("s3")) as running,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in running.env().items():
            patch.setenv(name, value)
        bucket = S3FileIO(f"s3://{s3_server.PRIVATE_BUCKET}/in", StorageOptions(running.endpoint))
        for path in synthetic.glob("*.parquet"):
            bucket.write(path.name, path.read_bytes())
        yield running
