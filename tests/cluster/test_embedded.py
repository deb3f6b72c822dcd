"""The Dask client of a program is used as it is, or refused with one error."""

from types import SimpleNamespace

import distributed
import pytest

from toytip.cluster.connect import _require_worker
from toytip.cluster.embedded import current_client_address
from toytip.errors import ClusterError


def set_current_client(monkeypatch, **attributes):
    client = SimpleNamespace(scheduler=SimpleNamespace(address="tcp://127.0.0.1:8786"), **attributes)
    monkeypatch.setattr(distributed.Client, "current", lambda: client)
    return client


@pytest.mark.parametrize(("status", "address"), [("running", "tcp://127.0.0.1:8786"), ("closed", None)])
def test_a_running_client_of_the_program_is_used(status, address, monkeypatch):
    set_current_client(monkeypatch, status=status, asynchronous=False)
    assert current_client_address() == address


def test_an_asynchronous_client_is_refused(monkeypatch):
    set_current_client(monkeypatch, status="running", asynchronous=True)
    with pytest.raises(ClusterError, match="it is asynchronous") as caught:
        current_client_address()
    assert "Close the client" in caught.value.hint


def test_a_client_without_workers_is_refused(monkeypatch):
    def wait_for_workers(count, timeout):
        assert (count, timeout) == (1, 30)
        raise TimeoutError

    client = set_current_client(monkeypatch, wait_for_workers=wait_for_workers)
    with pytest.raises(ClusterError, match="has no worker after 30 s") as caught:
        _require_worker(client)
    assert "client.cluster.scale(2)" in caught.value.hint
