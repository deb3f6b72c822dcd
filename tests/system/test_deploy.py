"""What is in cluster/compose, for real: docker-compose reads the file, the images are built and run, and the services'
commands are run as processes, with a `toytip run` through them.

`make test-deploy` runs these. Docker itself is not needed: docker-compose reads a file without an engine, and buildah builds
without one.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import toytip
from tests.support import containers
from tests.support.deploy_files import COMPOSE_FILE, ROOT, service_faults
from tests.support.requirements import missing_requirements
from tests.support.runs import parse_summary

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(900)]
# Made once, kept beside the virtual environment's own files, and gone with `make clean`.
CACHE = Path(sys.prefix) / ".deploy"
KEYS = {"AWS_ACCESS_KEY_ID": "TOYTIPCOMPOSEKEY", "AWS_SECRET_ACCESS_KEY": "toytip-compose-secret-0123456789"}


def tell(request, line):
    """Print a figure, whatever pytest keeps back."""
    with request.getfixturevalue("capsys").disabled():
        print(f"\n{line}", end="")  # noqa: T201


def debian(suite):
    """Return apt's options for a suite of Debian, from the mirror that this system uses, in folders of our own."""
    if not shutil.which("apt-get"):
        pytest.skip("docker-compose of Debian is taken by apt, which is not here")
    listed = "".join(
        file.read_text()
        for file in (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list"))
        if file.exists()
    )
    mirrors = re.findall(r"(?:URIs: |^deb (?:\[.*\] )?)(https?://\S+?/debian/?)\s", listed, re.MULTILINE)
    if not mirrors:
        pytest.skip("docker-compose of Debian is taken by apt, and no mirror of Debian is named in /etc/apt")
    for folder in ("lists/partial", "cache/archives/partial"):
        (CACHE / folder).mkdir(parents=True, exist_ok=True)
    signed = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
    (CACHE / "sources.list").write_text(f"deb {signed} {mirrors[0]} {suite} main\n")
    options = {
        "Dir::Etc::sourcelist": CACHE / "sources.list", "Dir::Etc::sourceparts": "-", "Dir::State::lists": CACHE / "lists",
        "Dir::Cache": CACHE / "cache", "APT::Sandbox::User": "root",
    }  # fmt: skip
    return [word for key, value in options.items() for word in ("-o", f"{key}={value}")]


@pytest.fixture(scope="session")
def compose():
    """docker-compose: the plugin of a Docker that is here, else Debian's, unpacked and not installed."""
    binary = CACHE / "docker-compose"
    if not binary.exists():
        options = debian("trixie")
        for words in (["update", "-qq"], ["download", "-qq", "docker-compose"]):
            done = subprocess.run(
                ["apt-get", *options, *words],
                cwd=CACHE,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            if done.returncode:
                pytest.skip(f"docker-compose of Debian trixie cannot be had: {done.stderr.strip()[-200:]}")
        (package,) = CACHE.glob("docker-compose_*.deb")
        subprocess.run(["dpkg-deb", "-x", package, CACHE / "unpacked"], check=True, timeout=60)
        shutil.copy(CACHE / "unpacked/usr/libexec/docker/cli-plugins/docker-compose", binary)

    def call(file, *words, **env):
        return subprocess.run(
            [binary, "--file", file, *words],
            env={"PATH": os.environ["PATH"], "HOME": str(file.parent), **env},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return call


@pytest.fixture
def project(tmp_path):
    """A copy of the compose file where it stands in the repository, with an environment that is filled in."""
    folder = tmp_path / "cluster" / "compose"
    folder.mkdir(parents=True)
    shutil.copy(COMPOSE_FILE, folder)
    example = COMPOSE_FILE.with_name(".env.example").read_text()
    for name, value in KEYS.items():
        example = example.replace(f"{name}=\n", f"{name}={value}\n")
    (folder / ".env").write_text(example)
    return folder / "compose.yaml"


def test_docker_compose_takes_the_file(compose, project):
    done = compose(project, "--profile", "run", "config", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")


def test_what_docker_compose_reads_has_no_right_too_many(compose, project):
    """After its anchors, merges and variables: what the engine would be told."""
    done = compose(project, "--profile", "run", "config", "--format", "json", WORKERS="5", WORKER_MEMORY="3G")
    assert done.returncode == 0, done.stderr
    services = json.loads(done.stdout)["services"]
    assert set(services) == {"scheduler", "worker", "store", "mlflow", "toytip"}
    secrets = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    for name, service in services.items():
        told = {key for key in service["environment"] if key in secrets}
        assert told == (secrets if name in {"worker", "store", "toytip"} else set()), name
        service["environment"] = {k: v for k, v in service["environment"].items() if k not in secrets}
        assert service_faults(name, service) == []
    worker = services["worker"]
    assert worker["deploy"]["replicas"] == 5, "the shell's environment goes before .env"
    assert "--memory-limit=3G" in worker["command"]
    assert worker["deploy"]["resources"]["limits"]["memory"] == str(3 * 2**30)
    assert {Path(service["build"]["context"]) for service in services.values()} == {project.parents[2]}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("scheduler: { condition: service_healthy }", "schedular: { condition: service_healthy }"),
        ("    deploy:\n      replicas:", "    deploy:\n      replica:"),
        ("replicas: ${WORKERS:-3}", "replicas: eight"),
        ('volumes: ["store:/store"]', 'volumes: ["stores:/store"]'),
        ("secrets: [ca, cert, key]", "secrets: [ca, cert, keys]"),
        ("env_file: [.env]", "env_file: [.environment]"),
        ("    healthcheck: { test", "    health_check: { test"),
        ("condition: service_healthy", "condition: service_well"),
    ],
)
def test_a_mistake_in_the_compose_file_is_seen(old, new, compose, project):
    text = project.read_text()
    assert old in text
    project.write_text(text.replace(old, new))
    assert compose(project, "--profile", "run", "config", "--quiet").returncode


# The images, and what they run


@pytest.fixture(scope="module")
def builder(tmp_path_factory):
    """Buildah, and a base image of Debian's own Python in place of the one that the Dockerfile names.

    With TOYTIP_TEST_IMAGES the storage is kept in that folder, and the next run builds what has changed.
    """
    if why := missing_requirements("images", "hosts"):
        pytest.skip(why)
    kept = os.environ.get("TOYTIP_TEST_IMAGES")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("images")
    folder.mkdir(parents=True, exist_ok=True)
    made = containers.ImageBuilder(folder)
    made.make_base_image("localhost/base:test")
    yield made
    if not kept:
        made.remove_all()


@pytest.fixture(scope="module")
def images(builder):
    """The three images of the Dockerfile; the seconds and bytes of each."""
    figures = {}
    for target in ("toytip", "store", "mlflow"):
        start = time.monotonic()
        name = builder.build(COMPOSE_FILE.with_name("Dockerfile"), ROOT, "localhost/base:test", target)
        (told,) = json.loads(builder("images", "--json", name))
        figures[target] = (round(time.monotonic() - start), told["size"])
    return figures


@pytest.fixture(scope="module")
def machines(builder, images, tmp_path_factory):
    """A host for each service, two for `worker`, under the names that compose would give them."""
    places = {
        "scheduler": "toytip", "worker-1": "toytip", "worker-2": "toytip", "store": "store", "mlflow": "mlflow",
        "client": "toytip",
    }  # fmt: skip
    tag = f"tt{os.getpid()}"
    with contextlib.ExitStack() as stack:
        spaces = {name: f"{tag}-{name}" for name in places}
        addresses = stack.enter_context(containers.create_network(list(spaces.values()), tag))
        file = tmp_path_factory.mktemp("etc") / "hosts"
        lines = ["127.0.0.1 localhost", *(f"{addresses[spaces[n]]} {n}" for n in places)]
        file.write_text("\n".join(lines) + "\n")
        made = {}
        for name, target in places.items():
            made[name] = containers.ContainerHost(
                builder, f"localhost/{target}:test", spaces[name], addresses[spaces[name]], file
            )
            stack.callback(builder, "rm", made[name].container)
            stack.callback(made[name].end)
        yield made


def test_an_image_runs_toytip_as_nobody(images, machines, request):
    for target, (seconds, size) in images.items():
        tell(request, f"image {target}: {size}, {seconds} s")
    client = machines["client"]
    assert client.run("id", "-u").stdout == "10001\n"
    assert client.run("touch", "/etc/mine").returncode != 0
    assert "Usage: toytip" in client.run("toytip", "--help").stdout
    assert client.run("toytip", "--version").stdout.split()[-1] == toytip.__version__
    # What is there is what constraints.txt says, and nothing that only builds.
    there = client.run(
        "python3",
        "-c",
        "import importlib.metadata as m; [print(d.name, d.version) for d in m.distributions()]",
    )
    found = dict(line.lower().split() for line in there.stdout.splitlines())
    pins = {
        line.split(" ")[0].split("==")[0]: line.split(" ")[0].split("==")[1]
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line and '< "3.12"' not in line
    }
    assert {n: v for n, v in found.items() if n != "toytip" and pins[n.replace("_", "-")] != v} == {}
    assert not {"pip", "hatchling", "pytest"} & found.keys()
    start = time.monotonic()
    done = client.run(
        "sh",
        "-c",
        "TOYTIP_SYNTH_ROWS_PER_MONTH=2000 TOYTIP_GATE=off toytip run --workers 2 --rounds 5 --json --store /scratch/alone",
    )
    told = parse_summary(done)
    assert told["rows"]["read"] == told["rows"]["kept"] + told["rows"]["rejected"] == 24_000
    tell(request, f"toytip run of 12 x 2,000 trips in the image: {time.monotonic() - start:.1f} s")


def certificates(folder):
    """Make an authority, and certificates of a node and a client, for the containers' user alone.

    Python 3.13 refuses a certificate that does not name its authority's key, and an authority without uses.
    """

    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=60)

    key, days = ("-newkey", "rsa:2048", "-nodes"), ("-days", "2")
    authority = (
        "-addext",
        "basicConstraints=critical,CA:TRUE",
        "-addext",
        "keyUsage=critical,keyCertSign,cRLSign",
    )
    openssl(
        "req", "-x509", *key, *days, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test", *authority
    )
    (folder / "uses").write_text(
        "extendedKeyUsage=serverAuth,clientAuth\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n"
    )
    for name in ("node", "client"):
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signer = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "uses")
        openssl("x509", "-req", "-in", f"{name}.csr", *signer, *days, "-out", f"{name}.pem")
    for file in folder.glob("*.key"):
        file.chmod(0o600)
        os.chown(file, 10001, 10001)


@pytest.fixture
def services(compose, project, synthetic, tmp_path):
    """What docker-compose would tell the engine, with the test's certificates and source."""
    certs, data = project.parent / "certs", project.parent / "data"
    certs.mkdir()
    certificates(certs)
    shutil.copytree(synthetic, data)
    data.chmod(0o755)
    # Two threads would be more than these machines have.
    done = compose(
        project, "--profile", "run", "config", "--format", "json", WORKER_THREADS="1", WORKER_MEMORY="2G"
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def as_told(host, told, service):
    """Give a host what its service has: environment, secrets and folders of this machine."""
    wanted = told["services"][service]
    for name, value in wanted.get("environment", {}).items():
        host.options += ["-e", f"{name}={value}"]
    for secret in wanted.get("secrets", []):
        host.options += [
            "-v",
            f"{told['secrets'][secret['source']]['file']}:/run/secrets/{secret['source']}:ro",
        ]
    for volume in wanted.get("volumes", []):
        if volume["type"] == "bind":
            host.options += ["-v", f"{volume['source']}:{volume['target']}:ro"]
    return wanted


ENTRYPOINTS = {
    target: words.replace('"', "").split(", ")
    for target, words in re.findall(
        r"^FROM slim AS (\w+)$.*?^ENTRYPOINT \[(.*?)\]$",
        COMPOSE_FILE.with_name("Dockerfile").read_text(),
        re.MULTILINE | re.DOTALL,
    )
}


def test_the_services_of_compose_do_a_run_together(machines, services, synthetic, request):
    """Each with compose's own command, environment, keys and names; then `docker compose run toytip run --source /data`."""
    order = {
        "scheduler": "scheduler",
        "store": "store",
        "mlflow": "mlflow",
        "worker-1": "worker",
        "worker-2": "worker",
    }
    for name, service in order.items():
        wanted = as_told(machines[name], services, service)
        entry = wanted.get("entrypoint") or ENTRYPOINTS[wanted["build"]["target"]]
        machines[name].start(*entry, *wanted["command"])
    for name, service in order.items():
        assert services["services"][service]["healthcheck"]["test"] == ["CMD", "alive"]
        tell(request, f"{name} healthy after {machines[name].healthy(['alive']):.1f} s more")
    client = machines["client"]
    as_told(client, services, "toytip")
    start = time.monotonic()
    done = client.run("toytip", "run", "--source", "/data", "--rounds", "5", "--gate", "on", "--json")
    tell(request, f"toytip run of 4 x 2,000 trips through them: {time.monotonic() - start:.1f} s")
    told = parse_summary(done)
    assert told["workers"] == 2
    assert told["store"] == "s3://toytip/store"
    assert (
        told["rows"]["read"]
        == told["rows"]["kept"] + told["rows"]["rejected"]
        == sum(pq.read_metadata(file).num_rows for file in synthetic.iterdir())
    )
    assert told["version"] in client.run("toytip", "versions").stdout
    assert told["promotion"]["uri"] == "http://mlflow:5000"
    assert told["promotion"]["champion"]
    # Nobody without a certificate, nor another port of the store, nor a worker's dashboard, is answered.
    assert re.fullmatch("refused .*OSError.*", said(client, PLAIN))
    for address in ("http://store:8888/", "http://store:9333/", "http://worker-1:8787/health"):
        assert said(client, ASK, address) == "refused URLError", address
    assert said(client, ASK, "http://store:8333/healthz") == "200"
    assert said(client, ASK, "http://store:8333/toytip/?list-type=2") == "403", "unsigned"


PLAIN = """
import distributed, logging
logging.disable()
try:
    # Its own settings would refuse, too: it is the scheduler that is asked.
    plain = distributed.Security(require_encryption=False)
    print(distributed.Client("tcp://scheduler:8786", timeout=5, security=plain))
except Exception as error:
    print("refused", *(kind.__name__ for kind in type(error).__mro__))
"""
ASK = """
import sys, urllib.error, urllib.request
try:
    print(urllib.request.urlopen(sys.argv[1], timeout=5).status)
except urllib.error.HTTPError as error:
    print(error.code)
except OSError as error:
    print("refused", type(error).__name__)
"""


def said(host, script, *words):
    """Return what a Python script says on a host."""
    done = host.run("python3", "-c", script, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
