"""Tests of cluster/compose: docker-compose validates the file, the images are built and run.

The commands of the services run in the images, and `toytip run` uses them. `make test-deploy` runs
these tests. They do not need Docker: docker-compose validates files and buildah builds images
without an engine.
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
# In the folder of the virtual environment, so that `make clean` deletes it.
CACHE = Path(sys.prefix) / ".deploy"
KEYS = {"AWS_ACCESS_KEY_ID": "TOYTIPCOMPOSEKEY", "AWS_SECRET_ACCESS_KEY": "toytip-compose-secret-0123456789"}


def report(request, line):
    """Print a measurement, although pytest captures output."""
    with request.getfixturevalue("capsys").disabled():
        print(f"\n{line}", end="")  # noqa: T201


def apt_options(suite):
    """Return apt's options for a Debian suite, with this system's mirror and other folders."""
    if not shutil.which("apt-get"):
        pytest.skip("Debian's docker-compose needs apt, which is not installed")
    sources = "".join(
        file.read_text()
        for file in (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list"))
        if file.exists()
    )
    mirrors = re.findall(r"(?:URIs: |^deb (?:\[.*\] )?)(https?://\S+?/debian/?)\s", sources, re.MULTILINE)
    if not mirrors:
        pytest.skip("Debian's docker-compose needs a Debian mirror in /etc/apt")
    for folder in ("lists/partial", "cache/archives/partial"):
        (CACHE / folder).mkdir(parents=True, exist_ok=True)
    keyring = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
    (CACHE / "sources.list").write_text(f"deb {keyring} {mirrors[0]} {suite} main\n")
    options = {
        "Dir::Etc::sourcelist": CACHE / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": CACHE / "lists",
        "Dir::Cache": CACHE / "cache",
        "APT::Sandbox::User": "root",
    }
    return [word for key, value in options.items() for word in ("-o", f"{key}={value}")]


@pytest.fixture(scope="session")
def compose():
    """A function that runs Debian's docker-compose, which is unpacked but not installed."""
    binary = CACHE / "docker-compose"
    if not binary.exists():
        options = apt_options("trixie")
        for words in (["update", "-qq"], ["download", "-qq", "docker-compose"]):
            process = subprocess.run(
                ["apt-get", *options, *words],
                cwd=CACHE,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            if process.returncode:
                pytest.skip(f"cannot download docker-compose: {process.stderr.strip()[-200:]}")
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
    """A copy of the compose file at its path in the repository, with a complete environment."""
    folder = tmp_path / "cluster" / "compose"
    folder.mkdir(parents=True)
    shutil.copy(COMPOSE_FILE, folder)
    example = COMPOSE_FILE.with_name(".env.example").read_text()
    for name, value in KEYS.items():
        example = example.replace(f"{name}=\n", f"{name}={value}\n")
    (folder / ".env").write_text(example)
    return folder / "compose.yaml"


def test_docker_compose_accepts_the_file(compose, project):
    process = compose(project, "--profile", "run", "config", "--quiet")
    assert (process.returncode, process.stderr) == (0, "")


def test_processed_services_have_no_unnecessary_privileges(compose, project):
    """After docker-compose has processed anchors, merges and variables."""
    process = compose(
        project, "--profile", "run", "config", "--format", "json", WORKERS="5", WORKER_MEMORY="3G"
    )
    assert process.returncode == 0, process.stderr
    services = json.loads(process.stdout)["services"]
    assert set(services) == {"scheduler", "worker", "store", "bucket", "mlflow", "toytip"}
    secrets = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    for name, service in services.items():
        received = {key for key in service["environment"] if key in secrets}
        assert received == (secrets if name in {"worker", "store", "bucket", "toytip"} else set()), name
        service["environment"] = {k: v for k, v in service["environment"].items() if k not in secrets}
        assert service_faults(name, service) == []
    worker = services["worker"]
    assert worker["deploy"]["replicas"] == 5, "the shell's environment overrides .env"
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
def test_a_mistake_in_the_compose_file_is_detected(old, new, compose, project):
    text = project.read_text()
    assert old in text
    project.write_text(text.replace(old, new))
    assert compose(project, "--profile", "run", "config", "--quiet").returncode


# Images and services


@pytest.fixture(scope="module")
def builder(tmp_path_factory):
    """Buildah, with a base image of Debian's Python instead of the one that the Dockerfile names.

    The folder TOYTIP_TEST_IMAGES keeps the storage for later runs, which only build changed layers.
    """
    if missing := missing_requirements("images", "hosts"):
        pytest.skip(missing)
    permanent = os.environ.get("TOYTIP_TEST_IMAGES")
    folder = Path(permanent) if permanent else tmp_path_factory.mktemp("images")
    folder.mkdir(parents=True, exist_ok=True)
    image_builder = containers.ImageBuilder(folder)
    image_builder.make_base_image("localhost/base:test")
    yield image_builder
    if not permanent:
        image_builder.remove_all()


@pytest.fixture(scope="module")
def images(builder):
    """The three images of the Dockerfile, with the build time and the size of each."""
    measurements = {}
    for target in ("toytip", "store", "mlflow"):
        start = time.monotonic()
        name = builder.build(COMPOSE_FILE.with_name("Dockerfile"), ROOT, "localhost/base:test", target)
        (image,) = json.loads(builder("images", "--json", name))
        measurements[target] = (round(time.monotonic() - start), image["size"])
    return measurements


@pytest.fixture(scope="module")
def machines(builder, images, tmp_path_factory):
    """A host for each service, and two for `worker`, with the names that compose uses."""
    targets = {
        "scheduler": "toytip",
        "worker-1": "toytip",
        "worker-2": "toytip",
        "store": "store",
        "mlflow": "mlflow",
        "client": "toytip",
    }
    tag = f"tt{os.getpid()}"
    with contextlib.ExitStack() as stack:
        spaces = {name: f"{tag}-{name}" for name in targets}
        addresses = stack.enter_context(containers.create_network(list(spaces.values()), tag))
        file = tmp_path_factory.mktemp("etc") / "hosts"
        lines = ["127.0.0.1 localhost", *(f"{addresses[spaces[name]]} {name}" for name in targets)]
        file.write_text("\n".join(lines) + "\n")
        hosts = {}
        for name, target in targets.items():
            image, space = f"localhost/{target}:test", spaces[name]
            hosts[name] = containers.ContainerHost(builder, image, space, addresses[space], file)
            stack.callback(builder, "rm", hosts[name].container)
            stack.callback(hosts[name].stop)
        yield hosts


def test_an_image_runs_toytip_as_an_unprivileged_user(images, machines, request):
    for target, (seconds, size) in images.items():
        report(request, f"image {target}: {size}, {seconds} s")
    client = machines["client"]
    assert client.run("id", "-u").stdout == "10001\n"
    assert client.run("touch", "/etc/mine").returncode != 0
    assert "Usage: toytip" in client.run("toytip", "--help").stdout
    assert client.run("toytip", "--version").stdout.split()[-1] == toytip.__version__
    # The image has the pinned versions, and no build tools.
    listing = client.run(
        "python3",
        "-c",
        "import importlib.metadata as m; [print(d.name, d.version) for d in m.distributions()]",
    )
    installed = dict(line.lower().split() for line in listing.stdout.splitlines())
    pins = {
        line.split(" ")[0].split("==")[0]: line.split(" ")[0].split("==")[1]
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line and '< "3.12"' not in line
    }
    others = {name: version for name, version in installed.items() if name != "toytip"}
    assert {
        name: version for name, version in others.items() if pins[name.replace("_", "-")] != version
    } == {}
    assert not {"pip", "hatchling", "pytest"} & installed.keys()
    start = time.monotonic()
    variables = "TOYTIP_SYNTH_ROWS_PER_MONTH=2000 TOYTIP_GATE=off"
    command = "toytip run --workers 2 --rounds 5 --json --store /scratch/alone"
    summary = parse_summary(client.run("sh", "-c", f"{variables} {command}"))
    rows = summary["rows"]
    assert rows["read"] == rows["kept"] + rows["rejected"] == 24_000
    report(request, f"toytip run of 12 x 2,000 trips in the image: {time.monotonic() - start:.1f} s")


def create_certificates(folder):
    """Create an authority, and certificates of a node and a client, for the containers' user.

    Python 3.13 rejects a certificate that does not name its authority's key, and an authority
    without a key usage.
    """

    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=60)

    key, days = ("-newkey", "rsa:2048", "-nodes"), ("-days", "2")
    extensions = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign")
    authority = tuple(word for extension in extensions for word in ("-addext", extension))
    files = ("-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test")
    openssl("req", "-x509", *key, *days, *files, *authority)
    (folder / "extensions").write_text(
        "extendedKeyUsage=serverAuth,clientAuth\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n"
    )
    for name in ("node", "client"):
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signer = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "extensions")
        openssl("x509", "-req", "-in", f"{name}.csr", *signer, *days, "-out", f"{name}.pem")
    for file in folder.glob("*.key"):
        file.chmod(0o600)
        os.chown(file, 10001, 10001)


@pytest.fixture
def project_config(compose, project, synthetic, tmp_path):
    """The configuration that docker-compose passes to the engine, with keys and a source."""
    certs, data = project.parent / "certs", project.parent / "data"
    certs.mkdir()
    create_certificates(certs)
    shutil.copytree(synthetic, data)
    data.chmod(0o755)
    # Two threads per worker would exceed the cores of small machines.
    sizes = {"WORKER_THREADS": "1", "WORKER_MEMORY": "2G"}
    process = compose(project, "--profile", "run", "config", "--format", "json", **sizes)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def configure(host, config, name):
    """Give a host the environment, secrets and folders of a service. Returns the service."""
    service = config["services"][name]
    for variable, value in service.get("environment", {}).items():
        host.options += ["-e", f"{variable}={value}"]
    for secret in service.get("secrets", []):
        file = config["secrets"][secret["source"]]["file"]
        host.options += ["-v", f"{file}:/run/secrets/{secret['source']}:ro"]
    for volume in service.get("volumes", []):
        if volume["type"] == "bind":
            host.options += ["-v", f"{volume['source']}:{volume['target']}:ro"]
    return service


ENTRYPOINTS = {
    target: words.replace('"', "").split(", ")
    for target, words in re.findall(
        r"^FROM slim AS (\w+)$.*?^ENTRYPOINT \[(.*?)\]$",
        COMPOSE_FILE.with_name("Dockerfile").read_text(),
        re.MULTILINE | re.DOTALL,
    )
}
SERVICES_BY_HOST = {
    "scheduler": "scheduler",
    "store": "store",
    "mlflow": "mlflow",
    "worker-1": "worker",
    "worker-2": "worker",
}


def test_a_run_uses_the_services_of_compose(machines, project_config, synthetic, request):
    """Each service has the command, environment, keys and names of the compose file."""
    start_services(machines, project_config, request)
    client = machines["client"]
    configure(client, project_config, "toytip")
    bucket = client.run(*project_config["services"]["bucket"]["entrypoint"])
    assert bucket.returncode == 0, bucket.stderr
    start = time.monotonic()
    run = client.run("toytip", "run", "--source", "/data", "--rounds", "5", "--gate", "on", "--json")
    report(request, f"toytip run of 4 x 2,000 trips on the services: {time.monotonic() - start:.1f} s")
    summary = parse_summary(run)
    assert summary["workers"] == 2
    assert summary["store"] == "s3://toytip/store"
    rows = summary["rows"]
    source_rows = sum(pq.read_metadata(file).num_rows for file in synthetic.iterdir())
    assert rows["read"] == rows["kept"] + rows["rejected"] == source_rows
    assert summary["version"] in client.run("toytip", "version", "list").stdout
    assert summary["promotion"]["uri"] == "http://mlflow:5000"
    assert summary["promotion"]["is_champion"]
    check_rejected_connections(client)


def start_services(machines, config, request):
    for host, name in SERVICES_BY_HOST.items():
        service = configure(machines[host], config, name)
        entrypoint = service.get("entrypoint") or ENTRYPOINTS[service["build"]["target"]]
        machines[host].start(*entrypoint, *service["command"])
    for host, name in SERVICES_BY_HOST.items():
        assert config["services"][name]["healthcheck"]["test"] == ["CMD", "alive"]
        seconds = machines[host].wait_until_healthy(["alive"])
        report(request, f"{host} healthy after another {seconds:.1f} s")


def check_rejected_connections(client):
    """Check that a client without a certificate, and other ports, get no response."""
    assert re.fullmatch("rejected .*OSError.*", run_script(client, CONNECT_WITHOUT_TLS))
    for address in ("http://store:8888/", "http://store:9333/", "http://worker-1:8787/health"):
        assert run_script(client, REQUEST, address) == "rejected URLError", address
    assert run_script(client, REQUEST, "http://store:8333/healthz") == "200"
    assert run_script(client, REQUEST, "http://store:8333/toytip/?list-type=2") == "403", "unsigned"


CONNECT_WITHOUT_TLS = """
import distributed, logging
logging.disable()
try:
    # The client's own settings would also reject the connection, but this tests the scheduler.
    plain = distributed.Security(require_encryption=False)
    print(distributed.Client("tcp://scheduler:8786", timeout=5, security=plain))
except Exception as error:
    print("rejected", *(kind.__name__ for kind in type(error).__mro__))
"""
REQUEST = """
import sys, urllib.error, urllib.request
try:
    print(urllib.request.urlopen(sys.argv[1], timeout=5).status)
except urllib.error.HTTPError as error:
    print(error.code)
except OSError as error:
    print("rejected", type(error).__name__)
"""


def run_script(host, script, *words):
    """Return the output of a Python script on a host."""
    process = host.run("python3", "-c", script, *words)
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()
