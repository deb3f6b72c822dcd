"""Real daemons that clusters are started through: sshd with keys of its own, Slurm with one node. Each ends with its context."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path


@contextlib.contextmanager
def run_daemon(log: Path, *command: str | Path, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a daemon in the foreground, in a group of its own."""
    with log.open("ab") as out:
        started = subprocess.Popen(
            [*map(str, command)], env={**os.environ, **env}, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield started
    finally:
        for how in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(started.pid, how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                started.wait(10)
                break


def make_ssh_keys(folder: Path) -> None:
    """Make the keys of a user and of the hosts."""
    for name in ("user", "host"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name]
        subprocess.run(command, check=True)


@contextlib.contextmanager
def run_sshd(
    folder: Path, ip: str, port: int, env: Mapping[str, str], command_prefix: Sequence[str] = ()
) -> Iterator[None]:
    """Run an sshd that lets the owner of the user's key in, and nobody else; `env` is what its sessions have."""
    config = folder / f"sshd_{ip}.conf"
    # Absolute paths: it starts itself again from another folder.
    config.write_text(
        f"ListenAddress {ip}\nPort {port}\nHostKey {folder / 'host'}\nAuthorizedKeysFile {folder / 'user.pub'}\n"
        f"PasswordAuthentication no\nUsePAM no\nStrictModes no\nPidFile none\n"
        f"Subsystem sftp internal-sftp\nSetEnv {' '.join(f'{k}={v}' for k, v in env.items())}\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    public = (folder / "host.pub").read_text().split(None, 2)[:2]
    name = ip if port == 22 else f"[{ip}]:{port}"
    with (folder / "known_hosts").open("a") as known:
        known.write(f"{name} {' '.join(public)}\n")
    with run_daemon(folder / f"sshd_{ip}.log", *command_prefix, "/usr/sbin/sshd", "-D", "-e", "-f", config):
        _wait_until(lambda: _listens(ip, port))
        yield


def _listens(ip: str, port: int) -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection((ip, port), 1).close()
        return True
    return False


SLURM_CONFIG = """
ClusterName=toytip
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.sock
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmdSpoolDir={folder}/spool
StateSaveLocation={folder}/state
CommunicationParameters=NoAddrCache
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=4000 State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@contextlib.contextmanager
def run_slurm(folder: Path) -> Iterator[dict[str, str]]:
    """Run Slurm with this machine as its one node; yield what its commands must have in their environment."""
    (folder / "slurm.conf").write_text(SLURM_CONFIG.format(host=socket.gethostname(), folder=folder))
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o400)
    files = [f"--{key}={folder}/munge.{end}" for key, end in
             (("key-file", "key"), ("socket", "sock"), ("pid-file", "pid"), ("log-file", "log"), ("seed-file", "seed"))]  # fmt: skip
    env = {"SLURM_CONF": str(folder / "slurm.conf")}
    with contextlib.ExitStack() as stack:
        stack.enter_context(run_daemon(folder / "munged.out", "/usr/sbin/munged", "-F", "--force", *files))
        _wait_until((folder / "munge.sock").exists)
        for daemon in ("slurmctld", "slurmd"):
            stack.enter_context(run_daemon(folder / f"{daemon}.out", f"/usr/sbin/{daemon}", "-D", **env))
        _wait_until(lambda: "idle" in _output_of("sinfo", "-h", **env))
        yield env


def _output_of(*command: str, **env: str) -> str:
    done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, check=False)
    return done.stdout


def _wait_until(condition: object, seconds: float = 60) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.1)
