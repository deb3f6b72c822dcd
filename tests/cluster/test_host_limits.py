"""The limits of this machine count before workers start, and a missing resource is one error."""

import resource
import socket
import subprocess
import sys

import dask
import pytest

from toytip.cluster import host_limits
from toytip.cluster.host_limits import GroupLimits, raise_file_limit, read_limits, require_startable
from toytip.errors import ClusterError

GIB = 2**30


def write_groups(root, own_groups, files):
    """Write control groups to a folder, and return their limits."""
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (root / "own").write_text(own_groups)
    return read_limits(root, root / "own")


@pytest.mark.parametrize(
    ("own_groups", "files", "expected"),
    [
        ("0::/\n", {}, (None, None)),
        ("0::/\n", {"cpu.max": "max 100000\n", "memory.max": "max\n"}, (None, None)),
        ("0::/\n", {"cpu.max": "50000 100000\n", "memory.max": f"{GIB}\n"}, (0.5, GIB)),
        (
            "0::/system.slice/job.service\n",
            {
                "system.slice/cpu.max": "200000 100000\n",
                "system.slice/memory.max": f"{4 * GIB}\n",
                "system.slice/job.service/cpu.max": "max 100000\n",
                "system.slice/job.service/memory.high": f"{GIB}\n",
            },
            (2.0, GIB),
        ),
        (
            "5:memory:/job\n4:cpu,cpuacct:/job\n",
            {
                "memory/memory.limit_in_bytes": "9223372036854771712\n",
                "memory/job/memory.limit_in_bytes": f"{2 * GIB}\n",
                "cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
                "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
                "cpu,cpuacct/job/cpu.cfs_quota_us": "150000\n",
                "cpu,cpuacct/job/cpu.cfs_period_us": "100000\n",
            },
            (1.5, 2 * GIB),
        ),
        ("0::/../..\n", {"memory.max": f"{GIB}\n"}, (None, GIB)),
    ],
)
def test_the_smallest_limit_of_the_control_groups_counts(own_groups, files, expected, tmp_path):
    assert write_groups(tmp_path, own_groups, files) == expected


def test_another_system_has_no_control_groups(tmp_path):
    assert read_limits(tmp_path, tmp_path / "none") == GroupLimits(None, None)


def test_cores_and_memory_are_limited(monkeypatch):
    monkeypatch.setattr(host_limits, "own_limits", lambda: GroupLimits(0.5, 1_000))
    assert (host_limits.available_cores(), host_limits.available_memory()) == (1, 1_000)
    monkeypatch.setattr(host_limits, "own_limits", lambda: GroupLimits(None, None))
    assert host_limits.available_cores() >= 1
    assert host_limits.available_memory() > 1_000


def test_a_machine_without_loopback_is_an_error(monkeypatch):
    def connect(*_):
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(
        ClusterError, match=r"cannot connect to itself at 127.0.0.1: network is unreachable"
    ) as e:
        require_startable()
    assert "ip link set lo up" in e.value.hint


def test_a_scratch_folder_that_is_not_writable_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with (
        dask.config.set({"temporary-directory": str(tmp_path / "file" / "scratch")}),
        pytest.raises(ClusterError, match=r"cannot write to .*scratch: not a directory") as caught,
    ):
        require_startable()
    assert "temporary" in caught.value.hint


def test_workers_start_in_a_scratch_folder_without_locks(monkeypatch):
    def flock(*_):
        raise OSError(37, "No locks available")

    with dask.config.set({"distributed.worker.use-file-locking": True}):
        require_startable()
        assert dask.config.get("distributed.worker.use-file-locking")
        monkeypatch.setattr("fcntl.flock", flock)
        require_startable()
        assert not dask.config.get("distributed.worker.use-file-locking")


def limited(handles, hard):
    """Return the outcome of a process that may open few files."""
    code = (
        "import resource\n"
        "from toytip.cluster.host_limits import raise_file_limit\n"
        "try:\n    raise_file_limit()\n    print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])\n"
        "except Exception as error:\n    print(error, error.hint)\n"
    )
    command = [sys.executable, "-c", code]
    limit = (handles, hard)
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limit),
    ).stdout


def test_the_limit_on_open_files_is_raised_as_far_as_possible():
    assert limited(40, 200) == "200\n"
    assert limited(100, 100) == "100\n"
    assert limited(40, 40).startswith(
        "cannot start workers: a process may open only 40 files Raise the limit"
    )
    raise_file_limit()
