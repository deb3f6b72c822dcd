"""Requirements of tests with several hosts: root, and tools that Debian has as packages.

`python -m tests.support.requirements` installs missing tools with apt, as root. `make test-cluster`
and `make test-deploy` start with it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

# The tools that each feature needs, and their packages.
REQUIRED_TOOLS = {
    "hosts": {"ip": "iproute2", "nsenter": "util-linux", "unshare": "util-linux"},
    "ssh": {"sshd": "openssh-server", "ssh": "openssh-client", "scp": "openssh-client"},
    "slurm": {"slurmctld": "slurmctld", "slurmd": "slurmd", "sbatch": "slurm-client", "munged": "munge"},
    "images": {"buildah": "buildah", "mmdebstrap": "mmdebstrap"},
}
SERVICE_POLICY_FILE = Path("/usr/sbin/policy-rc.d")


def missing_requirements(*features: str) -> str:
    """Return why tests of these features cannot run here, or an empty string."""
    if os.geteuid():
        return "root is needed"
    missing = _missing_tools(*features)
    return f"not installed: {', '.join(missing)} (apt install {_package_names(missing)})" if missing else ""


def _missing_tools(*features: str) -> dict[str, str]:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    tools = {tool: package for name in features for tool, package in REQUIRED_TOOLS[name].items()}
    return {tool: package for tool, package in tools.items() if not shutil.which(tool, path=path)}


def _package_names(tools: dict[str, str]) -> str:
    return " ".join(dict.fromkeys(tools.values()))


def install_requirements(*features: str) -> str:
    """Install the packages of missing tools. Returns what is still missing, or an empty string."""
    missing = _missing_tools(*features)
    if missing and not os.geteuid() and shutil.which("apt-get"):
        with _block_service_starts():
            for words in (["update", "-qq"], ["install", "-y", "-qq", *dict.fromkeys(missing.values())]):
                env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
                subprocess.run(["apt-get", *words], stdout=subprocess.DEVNULL, env=env, check=False)
    return missing_requirements(*features)


@contextlib.contextmanager
def _block_service_starts() -> Iterator[None]:
    """Prevent Debian from starting the installed services. Tests start their own."""
    try:
        with SERVICE_POLICY_FILE.open("x") as policy:
            policy.write("#!/bin/sh\nexit 101\n")
    except FileExistsError:  # the administrator has a policy already
        yield
        return
    SERVICE_POLICY_FILE.chmod(0o755)
    try:
        yield
    finally:
        SERVICE_POLICY_FILE.unlink()


if __name__ == "__main__":
    if missing_text := install_requirements(*(sys.argv[1:] or REQUIRED_TOOLS)):
        print(f"{missing_text}: tests that need it are skipped")  # noqa: T201
