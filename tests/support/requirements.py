"""What tests of several hosts need of the system: root, and tools, which Debian has as packages.

`python -m tests.support.requirements` installs what lacks, with apt, as root: `make test-cluster` and `make test-deploy` begin with it.
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
REQUIRED_TOOLS = {
    "hosts": {"ip": "iproute2", "nsenter": "util-linux", "unshare": "util-linux"},
    "ssh": {"sshd": "openssh-server", "ssh": "openssh-client", "scp": "openssh-client"},
    "slurm": {"slurmctld": "slurmctld", "slurmd": "slurmd", "sbatch": "slurm-client", "munged": "munge"},
    "images": {"buildah": "buildah", "mmdebstrap": "mmdebstrap"},
}
SERVICE_POLICY_FILE = Path("/usr/sbin/policy-rc.d")


def missing_requirements(*features: str) -> str:
    """Return why tests that do this cannot run here; nothing where they can."""
    if os.geteuid():
        return "root is needed"
    gone = _missing_tools(*features)
    return f"no {', '.join(gone)} here: apt install {_package_names(gone)}" if gone else ""


def _missing_tools(*what: str) -> dict[str, str]:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    tools = {tool: package for name in what for tool, package in REQUIRED_TOOLS[name].items()}
    return {tool: package for tool, package in tools.items() if not shutil.which(tool, path=path)}


def _package_names(gone: dict[str, str]) -> str:
    return " ".join(dict.fromkeys(gone.values()))


def install_requirements(*features: str) -> str:
    """Install the packages of the tools that lack; return why some still do; nothing where none does."""
    gone = _missing_tools(*features)
    if gone and not os.geteuid() and shutil.which("apt-get"):
        with _block_service_starts():
            for words in (["update", "-qq"], ["install", "-y", "-qq", *dict.fromkeys(gone.values())]):
                env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
                subprocess.run(["apt-get", *words], stdout=subprocess.DEVNULL, env=env, check=False)
    return missing_requirements(*features)


@contextlib.contextmanager
def _block_service_starts() -> Iterator[None]:
    """Keep Debian from starting the services of what is installed: the tests start their own, and nobody asked for an sshd."""
    try:
        with SERVICE_POLICY_FILE.open("x") as policy:
            policy.write("#!/bin/sh\nexit 101\n")
    except FileExistsError:  # whoever runs this system has said already what is started
        yield
        return
    SERVICE_POLICY_FILE.chmod(0o755)
    try:
        yield
    finally:
        SERVICE_POLICY_FILE.unlink()


if __name__ == "__main__":
    if why := install_requirements(*(sys.argv[1:] or REQUIRED_TOOLS)):
        print(f"{why}; tests that need it are skipped")  # noqa: T201
