"""A Parquet file that cannot be used is refused in a run and in `toytip score`."""

import base64
import io

import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest

from tests.support.trips import raw_table
from toytip.core.months import Month
from toytip.errors import SourceError
from toytip.serving import trip_files
from toytip.sources.discovery import open_source

TABLE = raw_table(30, Month(2023, 1), "lpep")


class PlainKeys(pe.KmsClient):
    """Keeps keys as they are."""

    def __init__(self, _):
        super().__init__()

    def wrap_key(self, key, _):
        return base64.b64encode(key)

    def unwrap_key(self, key, _):
        return base64.b64decode(key)


@pytest.mark.parametrize("plaintext_footer", [False, True])
def test_encrypted_columns_are_an_error(plaintext_footer, tmp_path):
    """For a statistic of such a column, Arrow would end the process."""
    properties = pe.CryptoFactory(PlainKeys).file_encryption_properties(
        pe.KmsConnectionConfig(),
        pe.EncryptionConfiguration(
            "footer", column_keys={"columns": ["fare_amount"]}, plaintext_footer=plaintext_footer
        ),
    )
    path = tmp_path / "green_2023-01.parquet"
    with pq.ParquetWriter(path, TABLE.schema, encryption_properties=properties) as writer:
        writer.write_table(TABLE)
    for read in (open_source, lambda path: next(trip_files.read_batches(path, io.BytesIO()))):
        with pytest.raises(SourceError, match="it is an encrypted Parquet file") as caught:
            read(str(path))
        assert caught.value.hint == "Decrypt the file."
