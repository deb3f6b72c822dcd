"""Checks of the deployment files in cluster/. Each check returns its findings as text."""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CLUSTER_DIR = ROOT / "cluster"
COMPOSE_FILE = CLUSTER_DIR / "compose" / "compose.yaml"
# The newest version that kubernetes-validate supports, and the oldest supported Kubernetes version.
KUBERNETES_VERSIONS = ("1.37", "1.34")

Document = dict[str, Any]
_SECRET = re.compile(r"(SECRET|PASSWORD|TOKEN|ACCESS_KEY)", re.IGNORECASE)
_PINNED = re.compile(r":\d+\.\d+\.\d+([.-][a-z0-9.]+)*(@sha256:[0-9a-f]{64})?$")


def load_manifests() -> dict[str, list[Document]]:
    """Return the documents of every manifest, by file."""
    files = sorted((CLUSTER_DIR / "kubernetes").glob("*.yaml"))
    return {file.name: [d for d in yaml.safe_load_all(file.read_text()) if d] for file in files}


def schema_faults(document: Document) -> list[str]:
    """Check a manifest against the schemas. An unknown field is a fault."""
    import jsonschema
    import kubernetes_validate

    kind = (document["apiVersion"], document["kind"])
    if kind[0].startswith("kubernetes.dask.org/"):
        errors = jsonschema.Draft202012Validator(_custom_resource_schemas()[kind]).iter_errors(document)
        return [f"{'.'.join(map(str, error.absolute_path))}: {error.message[:200]}" for error in errors]
    faults = []
    for version in KUBERNETES_VERSIONS:
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            faults.append(f"{version}: {str(error)[:200]}")
    return faults


@functools.cache
def _custom_resource_schemas() -> dict[tuple[str, str], dict[str, Any]]:
    """Return strict schemas of the operator's kinds. The API server drops unknown fields."""
    spec = find_spec("dask_kubernetes")
    assert spec is not None, "dask-kubernetes is not installed; run `make test-deploy`"
    assert spec.origin is not None
    folder = Path(spec.origin).parent / "operator/deployment/helm/dask-kubernetes-operator/crds"
    schemas = {}
    for file in folder.glob("dask*.yaml"):
        crd = yaml.safe_load(file.read_text())["spec"]
        for version in crd["versions"]:
            schema = _make_strict(copy.deepcopy(version["schema"]["openAPIV3Schema"]))
            schema["properties"] |= {"apiVersion": {}, "kind": {}, "metadata": {"type": "object"}}
            schemas[f"{crd['group']}/{version['name']}", crd["names"]["kind"]] = schema
    return schemas


def _make_strict(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_make_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if (
        schema.get("type") == "object"
        and "properties" in schema
        and not schema.get("x-kubernetes-preserve-unknown-fields")
    ):
        schema.setdefault("additionalProperties", False)
    if schema.pop("x-kubernetes-int-or-string", False):
        schema.pop("type", None)
        schema["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    return {key: _make_strict(value) for key, value in schema.items()}


def pod_specs(document: Document) -> Iterator[Document]:
    """Yield all pod specs of a manifest."""
    if isinstance(document, list):
        for item in document:
            yield from pod_specs(item)
    elif isinstance(document, dict):
        if "containers" in document:
            yield document
        for value in document.values():
            yield from pod_specs(value)


def pod_faults(pod: Document) -> list[str]:
    """Check a pod: no root, no privileges, resource limits, a pinned image, no secrets."""
    user = pod.get("securityContext", {})
    faults = [
        fault
        for fault, wrong in {
            "can run as root": not user.get("runAsNonRoot") or not user.get("runAsUser"),
            "no seccomp profile": user.get("seccompProfile") != {"type": "RuntimeDefault"},
            "has an API token": pod.get("automountServiceAccountToken") is not False,
            "uses a host namespace": any(pod.get(name) for name in ("hostNetwork", "hostPID", "hostIPC")),
            "mounts a host folder": any("hostPath" in volume for volume in pod.get("volumes", [])),
            "a volume without a size limit": any(
                "emptyDir" in volume and not (volume["emptyDir"] or {}).get("sizeLimit")
                for volume in pod.get("volumes", [])
            ),
        }.items()
        if wrong
    ]
    for container in pod["containers"]:
        rights = container.get("securityContext", {})
        limits, requests = (container.get("resources", {}).get(key, {}) for key in ("limits", "requests"))
        faults += [
            f"{container['name']}: {fault}"
            for fault, wrong in {
                "can gain privileges": rights.get("allowPrivilegeEscalation") is not False,
                "has capabilities": rights.get("capabilities", {}).get("drop") != ["ALL"],
                "can write to its image": rights.get("readOnlyRootFilesystem") is not True,
                "no limits": not {"cpu", "memory", "ephemeral-storage"} <= limits.keys(),
                "no requests": not {"cpu", "memory", "ephemeral-storage"} <= requests.keys(),
                "image not pinned": not _PINNED.search(container["image"]),
                "a size option in addition to the limits": any(
                    re.match(r"--(nthreads|memory-limit)", str(a)) for a in container.get("args", [])
                ),
            }.items()
            if wrong
        ]
        faults += secret_faults({e["name"]: e.get("value", "") for e in container.get("env", [])})
    return faults


def secret_faults(variables: dict[str, Any]) -> list[str]:
    """Check that no variable with the name of a secret has a value."""
    return [f"{name} has a value" for name, value in variables.items() if value and _SECRET.search(name)]


def service_faults(name: str, service: Document) -> list[str]:
    """Check a compose service, before or after its processing by docker-compose."""
    limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
    health_check = service.get("healthcheck", {})
    is_job = bool(service.get("profiles"))
    return [
        f"{name}: {fault}"
        for fault, wrong in {
            "image not pinned": not _PINNED.search(service.get("image", "")),
            "no limits": not {"cpus", "memory", "pids"} <= limits.keys(),
            "can write to its image": service.get("read_only") is not True,
            "has capabilities": service.get("cap_drop") != ["ALL"],
            "can gain privileges": "no-new-privileges:true" not in service.get("security_opt", []),
            "can run as root": str(service.get("user", "0")).split(":")[0] in ("0", "root"),
            "privileged": bool(service.get("privileged")) or "network_mode" in service,
            "no health check": not health_check.get("test") and not (is_job and health_check.get("disable")),
            "no restart": service.get("restart") != ("no" if is_job else "unless-stopped"),
            "listens on other interfaces": not all(_on_loopback(port) for port in service.get("ports", [])),
        }.items()
        if wrong
    ] + secret_faults(service.get("environment", {}))


def _on_loopback(port: Any) -> bool:
    return (port["host_ip"] if isinstance(port, dict) else str(port).split(":")[0]) == "127.0.0.1"


def dask_faults(variables: dict[str, Any]) -> list[str]:
    """Check that Dask has a setting for each variable. It silently ignores others."""
    import dask
    import distributed

    assert distributed.__version__
    config = dask.config.collect_env({name: str(value) for name, value in variables.items()})
    return [f"Dask has no setting {'.'.join(path)}" for path in _leaves(config) if not _is_setting(path)]


def _leaves(tree: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key)


def _is_setting(path: tuple[str, ...]) -> bool:
    import dask

    # The defaults of the libraries: the config also has environment variables with unknown names.
    node: Any = {}
    for defaults in dask.config.defaults:
        dask.config.update(node, defaults)
    for key in path:
        if not isinstance(node, dict) or (name := dask.config.canonical_name(key, node)) not in node:
            return False
        node = node[name]
    return True
