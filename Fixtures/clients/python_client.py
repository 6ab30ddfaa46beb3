"""The Python client: typed, dynamic and custom objects, pages, watches, every kind of patch, refusals, leases."""

import datetime
import threading

from kubernetes import client, config, dynamic, utils, watch
from kubernetes.client.exceptions import ApiException


def refused(status, reason, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except ApiException as refusal:
        assert refusal.status == status and f'"reason":"{reason}"' in refusal.body, refusal
        return refusal
    raise AssertionError(f"was not refused: {call}")


def config_map(name, **data):
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels={"of": "python"}), data=data)


def typed(core):
    made = core.create_namespaced_config_map("default", config_map("first", a="1"))
    assert made.metadata.uid and made.metadata.creation_timestamp.utcoffset() == datetime.timedelta(0)
    refused(409, "AlreadyExists", core.create_namespaced_config_map, "default", config_map("first"))
    refused(404, "NotFound", core.read_namespaced_config_map, "absent", "default")
    refused(422, "Invalid", core.create_namespaced_config_map, "default", config_map("Not_A_Name"))
    stale = core.read_namespaced_config_map("first", "default")
    made.data["a"] = "2"
    core.replace_namespaced_config_map("first", "default", made)
    refused(409, "Conflict", core.replace_namespaced_config_map, "first", "default", stale)

    merged = core.patch_namespaced_config_map("first", "default", {"data": {"b": "3"}})
    assert merged.data == {"a": "2", "b": "3"}, merged.data
    steps = [{"op": "test", "path": "/data/a", "value": "2"}, {"op": "remove", "path": "/data/a"}]
    assert core.patch_namespaced_config_map("first", "default", steps).data == {"b": "3"}
    dry = core.patch_namespaced_config_map("first", "default", {"data": {"c": "4"}}, dry_run="All")
    assert dry.data == {"b": "3", "c": "4"}
    assert core.read_namespaced_config_map("first", "default").data == {"b": "3"}
    strict = {"metadata": {"name": "odd"}, "wrong": 1}
    refused(400, "BadRequest", core.create_namespaced_config_map, "default", strict, field_validation="Strict")


def pages(core):
    for number in range(7):
        core.create_namespaced_config_map("default", config_map(f"page-{number}"))
    names, token = [], None
    while True:
        page = core.list_namespaced_config_map("default", label_selector="of=python", limit=3, _continue=token)
        assert len(page.items) <= 3
        names += [each.metadata.name for each in page.items]
        token = page.metadata._continue
        if not token:
            break
    assert names == ["first"] + [f"page-{number}" for number in range(7)], names
    one = core.list_namespaced_config_map("default", field_selector="metadata.name=page-3").items
    assert [each.metadata.name for each in one] == ["page-3"]


def watched(core):
    """A watch from a list's version sees exactly what follows, in order, and ends by its own limit."""
    version = core.list_namespaced_config_map("default").metadata.resource_version

    def write():
        core.create_namespaced_config_map("default", config_map("seen", a="1"))
        core.patch_namespaced_config_map("seen", "default", {"data": {"a": "2"}})
        core.delete_namespaced_config_map("seen", "default")

    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    stream = watch.Watch()
    for event in stream.stream(
            core.list_namespaced_config_map, "default", resource_version=version, timeout_seconds=20):
        seen.append((event["type"], event["object"].data["a"]))
        if event["type"] == "DELETED":
            stream.stop()
    writer.join()
    assert seen == [("ADDED", "1"), ("MODIFIED", "2"), ("DELETED", "2")], seen
    gone = list(watch.Watch().stream(core.list_namespaced_config_map, "default", timeout_seconds=1, limit=1))
    assert all(event["type"] == "ADDED" for event in gone) and len(gone) >= 8


def workloads(core):
    core.create_namespaced_service_account("default", {"metadata": {"name": "default"}})
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}
    utils.create_from_dict(client.ApiClient(), {
        "apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
             "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template}},
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": template["spec"]},
        ]})
    apps = client.AppsV1Api()
    assert apps.read_namespaced_deployment_scale("web", "default").spec.replicas == 2
    scaled = apps.patch_namespaced_deployment_scale("web", "default", {"spec": {"replicas": 5}})
    assert scaled.spec.replicas == 5 and scaled.status.selector == "app=web", scaled
    status = {"status": {"replicas": 5, "conditions": [{"type": "Available", "status": "True"}]}}
    apps.patch_namespaced_deployment_status("web", "default", status)
    read = apps.read_namespaced_deployment("web", "default")
    assert read.spec.replicas == 5 and read.status.conditions[0].type == "Available", read
    pod = core.read_namespaced_pod("one", "default")
    assert pod.status.qos_class == "BestEffort" and pod.spec.tolerations[0].toleration_seconds == 300, pod
    refused(422, "Invalid", core.patch_namespaced_pod, "one", "default", {"spec": {"nodeName": "n", "hostname": "x"}})
    binding = client.V1Binding(
        metadata=client.V1ObjectMeta(name="one"), target=client.V1ObjectReference(kind="Node", name="node-1"))
    core.create_namespaced_binding("default", binding, _preload_content=False)
    assert core.read_namespaced_pod("one", "default").spec.node_name == "node-1"
    core.delete_namespaced_pod("one", "default", grace_period_seconds=0)
    refused(404, "NotFound", core.read_namespaced_pod, "one", "default")


def credentials(core):
    """A token that the server made identifies its bearer, and that bearer may do what its roles say."""
    request = client.AuthenticationV1TokenRequest(
        spec=client.V1TokenRequestSpec(audiences=[], expiration_seconds=600))
    token = core.create_namespaced_service_account_token("default", "default", request).status.token
    mine = client.Configuration.get_default_copy()
    mine.cert_file = mine.key_file = None
    mine.api_key = {"authorization": f"Bearer {token}"}
    bearer = client.ApiClient(mine)
    who = client.AuthenticationV1Api(bearer).create_self_subject_review({})
    assert who.status.user_info.username == "system:serviceaccount:default:default", who
    refused(403, "Forbidden", client.CoreV1Api(bearer).list_namespaced_config_map, "default")
    rbac = client.RbacAuthorizationV1Api()
    rbac.create_namespaced_role("default", {
        "metadata": {"name": "reader"}, "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]})
    rbac.create_namespaced_role_binding("default", {
        "metadata": {"name": "reader"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}]})
    assert client.CoreV1Api(bearer).list_namespaced_config_map("default").items
    asked = client.V1SelfSubjectAccessReview(spec=client.V1SelfSubjectAccessReviewSpec(
        resource_attributes=client.V1ResourceAttributes(namespace="default", verb="list", resource="configmaps")))
    assert client.AuthorizationV1Api(bearer).create_self_subject_access_review(asked).status.allowed


def dynamically():
    """The dynamic client finds everything through discovery; it also applies."""
    found = dynamic.DynamicClient(client.ApiClient())
    maps = found.resources.get(api_version="v1", kind="ConfigMap")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": {"a": "1", "b": "1"}}
    maps.server_side_apply(body=body, name="applied", namespace="default", field_manager="one")
    body["data"] = {"a": "2"}
    try:
        maps.server_side_apply(body=body, name="applied", namespace="default", field_manager="two")
        raise AssertionError("two appliers own one field")
    except dynamic.exceptions.ConflictError as refusal:
        assert "conflict with \"one\": .data.a" in refusal.summary(), refusal.summary()
    maps.server_side_apply(
        body=body, name="applied", namespace="default", field_manager="two", force_conflicts=True)
    body["data"] = {"b": "3"}
    last = maps.server_side_apply(body=body, name="applied", namespace="default", field_manager="one")
    assert last.data.to_dict() == {"a": "2", "b": "3"}, last.data
    managers = sorted(each.manager for each in last.metadata.managedFields)
    assert managers == ["one", "two"], managers
    kinds = {each.kind for each in found.resources.search(group="apps") if not each.kind.endswith("List")}
    assert {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ControllerRevision"} <= kinds, kinds


def leases():
    api = client.CoordinationV1Api()
    now = datetime.datetime.now(datetime.timezone.utc)
    body = client.V1Lease(
        metadata=client.V1ObjectMeta(name="leader"),
        spec=client.V1LeaseSpec(holder_identity="me", lease_duration_seconds=15, acquire_time=now, renew_time=now))
    made = api.create_namespaced_lease("default", body)
    assert made.spec.renew_time == now, (made.spec.renew_time, now)
    made.spec.holder_identity = "you"
    assert api.replace_namespaced_lease("leader", "default", made).spec.holder_identity == "you"


def removal(core):
    core.delete_collection_namespaced_config_map("default", label_selector="of=python")
    assert core.list_namespaced_config_map("default", label_selector="of=python").items == []
    gone = core.delete_namespaced_config_map("applied", "default")
    assert gone.status == "Success" and gone.details.kind == "configmaps", gone


def main():
    config.load_kube_config()
    core = client.CoreV1Api()
    version = client.VersionApi().get_code()
    assert (version.major, version.minor) == ("1", "36"), version
    assert "default" in [each.metadata.name for each in core.list_namespace().items]
    typed(core)
    pages(core)
    watched(core)
    workloads(core)
    credentials(core)
    dynamically()
    leases()
    removal(core)
    print("kubernetes client: all as expected")


main()
