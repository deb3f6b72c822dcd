"""What tests of several hosts need of the system: root, and tools, which Debian has as packages.

`python -m tests.system` installs what lacks, with apt, as root: `make test-cluster` and `make test-deploy` begin with it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

# By what is done with them: the tools, and the packages that they are in.
NEEDS = {
    "hosts": {"ip": "iproute2", "nsenter": "util-linux", "unshare": "util-linux"},
    "ssh": {"sshd": "openssh-server", "ssh": "openssh-client", "scp": "openssh-client"},
    "slurm": {"slurmctld": "slurmctld", "slurmd": "slurmd", "sbatch": "slurm-client", "munged": "munge"},
    "images": {"buildah": "buildah", "mmdebstrap": "mmdebstrap"},
}
POLICY = Path("/usr/sbin/policy-rc.d")


def lacking(*what: str) -> str:
    """Return why tests that do this cannot run here; nothing where they can."""
    if os.geteuid():
        return "root is needed"
    gone = _gone(*what)
    return f"no {', '.join(gone)} here: apt install {_words(gone)}" if gone else ""


def _gone(*what: str) -> dict[str, str]:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    tools = {tool: package for name in what for tool, package in NEEDS[name].items()}
    return {tool: package for tool, package in tools.items() if not shutil.which(tool, path=path)}


def _words(gone: dict[str, str]) -> str:
    return " ".join(dict.fromkeys(gone.values()))


def install(*what: str) -> str:
    """Install the packages of the tools that lack; return why some still do; nothing where none does."""
    gone = _gone(*what)
    if gone and not os.geteuid() and shutil.which("apt-get"):
        with _asleep():
            for words in (["update", "-qq"], ["install", "-y", "-qq", *dict.fromkeys(gone.values())]):
                env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
                subprocess.run(["apt-get", *words], stdout=subprocess.DEVNULL, env=env, check=False)
    return lacking(*what)


@contextlib.contextmanager
def _asleep() -> Iterator[None]:
    """Keep Debian from starting the services of what is installed: the tests start their own, and nobody asked for an sshd."""
    try:
        with POLICY.open("x") as policy:
            policy.write("#!/bin/sh\nexit 101\n")
    except FileExistsError:  # whoever runs this system has said already what is started
        yield
        return
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


if __name__ == "__main__":
    if why := install(*(sys.argv[1:] or NEEDS)):
        print(f"{why}; tests that need it are skipped")  # noqa: T201
