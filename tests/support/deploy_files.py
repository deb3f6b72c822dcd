"""What is asked of the files in cluster/: each check returns the faults that it finds, in words."""

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
# The version that manifests are checked against: the newest that kubernetes-validate knows, and the oldest in support.
KUBERNETES_VERSIONS = ("1.37", "1.34")

Document = dict[str, Any]
_SECRET = re.compile(r"(SECRET|PASSWORD|TOKEN|ACCESS_KEY)", re.IGNORECASE)
_PINNED = re.compile(r":\d+\.\d+\.\d+([.-][a-z0-9.]+)*(@sha256:[0-9a-f]{64})?$")


def load_manifests() -> dict[str, list[Document]]:
    """Return the documents of every manifest, by file."""
    files = sorted((CLUSTER_DIR / "kubernetes").glob("*.yaml"))
    return {file.name: [d for d in yaml.safe_load_all(file.read_text()) if d] for file in files}


def schema_faults(document: Document) -> list[str]:
    """Check a manifest against Kubernetes' schemas, or the Dask operator's; a field that they do not know is a fault."""
    import jsonschema
    import kubernetes_validate

    kind = (document["apiVersion"], document["kind"])
    if kind[0].startswith("kubernetes.dask.org/"):
        found = jsonschema.Draft202012Validator(_custom_resource_schemas()[kind]).iter_errors(document)
        return [f"{'.'.join(map(str, e.absolute_path))}: {e.message[:200]}" for e in found]
    faults = []
    for version in KUBERNETES_VERSIONS:
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            faults.append(f"{version}: {str(error)[:200]}")
    return faults


@functools.cache
def _custom_resource_schemas() -> dict[tuple[str, str], dict[str, Any]]:
    """Return the schemas of the operator's kinds, strict: the API server would drop what they do not know, in silence."""
    spec = find_spec("dask_kubernetes")
    assert spec is not None, "dask-kubernetes is not installed; run `make test-deploy`"
    assert spec.origin is not None
    folder = Path(spec.origin).parent / "operator/deployment/helm/dask-kubernetes-operator/crds"
    found = {}
    for file in folder.glob("dask*.yaml"):
        crd = yaml.safe_load(file.read_text())["spec"]
        for version in crd["versions"]:
            schema = _make_strict(copy.deepcopy(version["schema"]["openAPIV3Schema"]))
            schema["properties"] |= {"apiVersion": {}, "kind": {}, "metadata": {"type": "object"}}
            found[f"{crd['group']}/{version['name']}", crd["names"]["kind"]] = schema
    return found


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
    """Yield the pod specs of a manifest, wherever they stand in it."""
    if isinstance(document, list):
        for item in document:
            yield from pod_specs(item)
    elif isinstance(document, dict):
        if "containers" in document:
            yield document
        for value in document.values():
            yield from pod_specs(value)


def pod_faults(pod: Document) -> list[str]:
    """Check a pod: not root, no rights, limits on all it takes, a pinned image, nothing told that it need not know."""
    user = pod.get("securityContext", {})
    faults = [
        fault
        for fault, wrong in {
            "may be root": not user.get("runAsNonRoot") or not user.get("runAsUser"),
            "no seccomp profile": user.get("seccompProfile") != {"type": "RuntimeDefault"},
            "has a token of the API": pod.get("automountServiceAccountToken") is not False,
            "host's namespaces": any(pod.get(name) for name in ("hostNetwork", "hostPID", "hostIPC")),
            "host's folders": any("hostPath" in volume for volume in pod.get("volumes", [])),
            "a folder without a limit": any(
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
                "may gain rights": rights.get("allowPrivilegeEscalation") is not False,
                "has capabilities": rights.get("capabilities", {}).get("drop") != ["ALL"],
                "can write to its image": rights.get("readOnlyRootFilesystem") is not True,
                "no limits": not {"cpu", "memory", "ephemeral-storage"} <= limits.keys(),
                "no requests": not {"cpu", "memory", "ephemeral-storage"} <= requests.keys(),
                "image not pinned": not _PINNED.search(container["image"]),
                "a size that the limits say already": any(
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
    """Check a service of compose, as docker-compose reads it or as it is written."""
    limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
    tested = service.get("healthcheck", {})
    once = bool(service.get("profiles"))
    return [
        f"{name}: {fault}"
        for fault, wrong in {
            "image not pinned": not _PINNED.search(service.get("image", "")),
            "no limits": not {"cpus", "memory", "pids"} <= limits.keys(),
            "can write to its image": service.get("read_only") is not True,
            "has capabilities": service.get("cap_drop") != ["ALL"],
            "may gain rights": "no-new-privileges:true" not in service.get("security_opt", []),
            "may be root": str(service.get("user", "0")).split(":")[0] in ("0", "root"),
            "privileged": bool(service.get("privileged")) or "network_mode" in service,
            "no health check": not tested.get("test") and not (once and tested.get("disable")),
            "not started again": service.get("restart") != ("no" if once else "unless-stopped"),
            "listens to others": not all(_on_loopback(port) for port in service.get("ports", [])),
        }.items()
        if wrong
    ] + secret_faults(service.get("environment", {}))


def _on_loopback(port: Any) -> bool:
    return (port["host_ip"] if isinstance(port, dict) else str(port).split(":")[0]) == "127.0.0.1"


def dask_faults(variables: dict[str, Any]) -> list[str]:
    """Check that Dask has a setting for each of its variables: one with another name would do nothing, in silence."""
    import dask
    import distributed

    assert distributed.__version__
    told = dask.config.collect_env({k: str(v) for k, v in variables.items()})
    return [f"Dask has no setting {'.'.join(path)}" for path in _leaves(told) if not _is_setting(path)]


def _leaves(tree: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key)


def _is_setting(path: tuple[str, ...]) -> bool:
    import dask

    # In the libraries' own defaults: an environment variable would be in the config whatever its name.
    here: Any = {}
    for defaults in dask.config.defaults:
        dask.config.update(here, defaults)
    for key in path:
        if not isinstance(here, dict) or (name := dask.config.canonical_name(key, here)) not in here:
            return False
        here = here[name]
    return True
