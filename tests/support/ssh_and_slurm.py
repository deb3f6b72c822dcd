"""Real daemons that start clusters: sshd with its own keys, and Slurm with one node."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.support.runs import wait_until

SSH_PORT = 22
SSHD_CONFIG = """
ListenAddress {ip}
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PasswordAuthentication no
UsePAM no
StrictModes no
PidFile none
Subsystem sftp internal-sftp
SetEnv {variables}
"""


@contextlib.contextmanager
def run_daemon(log: Path, *command: str | Path, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a daemon in the foreground, in its own process group."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            [*map(str, command)],
            env={**os.environ, **env},
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
                break


def make_ssh_keys(folder: Path) -> None:
    """Create the keys of a user and of the hosts."""
    for name in ("user", "host"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name]
        subprocess.run(command, check=True)


@contextlib.contextmanager
def run_sshd(
    folder: Path, ip: str, port: int, env: Mapping[str, str], command_prefix: Sequence[str] = ()
) -> Iterator[None]:
    """Run an sshd that accepts the user's key only. Its sessions have the variables of `env`."""
    config = folder / f"sshd_{ip}.conf"
    variables = " ".join(f"{name}={value}" for name, value in env.items())
    # Absolute paths, because sshd restarts itself in another folder.
    config.write_text(SSHD_CONFIG.format(ip=ip, port=port, folder=folder, variables=variables))
    Path("/run/sshd").mkdir(exist_ok=True)
    public_key = (folder / "host.pub").read_text().split(None, 2)[:2]
    name = ip if port == SSH_PORT else f"[{ip}]:{port}"
    with (folder / "known_hosts").open("a") as known_hosts:
        known_hosts.write(f"{name} {' '.join(public_key)}\n")
    with run_daemon(folder / f"sshd_{ip}.log", *command_prefix, "/usr/sbin/sshd", "-D", "-e", "-f", config):
        wait_until(lambda: _listens(ip, port), seconds=60)
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
MUNGE_FILES = {
    "key-file": "key",
    "socket": "sock",
    "pid-file": "pid",
    "log-file": "log",
    "seed-file": "seed",
}


@contextlib.contextmanager
def run_slurm(folder: Path) -> Iterator[dict[str, str]]:
    """Run Slurm with this machine as its only node. Yields the environment of its commands."""
    (folder / "slurm.conf").write_text(SLURM_CONFIG.format(host=socket.gethostname(), folder=folder))
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o400)
    files = [f"--{option}={folder}/munge.{suffix}" for option, suffix in MUNGE_FILES.items()]
    env = {"SLURM_CONF": str(folder / "slurm.conf")}
    with contextlib.ExitStack() as stack:
        stack.enter_context(run_daemon(folder / "munged.out", "/usr/sbin/munged", "-F", "--force", *files))
        wait_until((folder / "munge.sock").exists, seconds=60)
        for daemon in ("slurmctld", "slurmd"):
            stack.enter_context(run_daemon(folder / f"{daemon}.out", f"/usr/sbin/{daemon}", "-D", **env))
        wait_until(lambda: "idle" in _output_of("sinfo", "-h", **env), seconds=60)
        yield env


def _output_of(*command: str, **env: str) -> str:
    process = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, check=False)
    return process.stdout
