"""Runs the operator of kopf_handlers.py and watches it work: create, update, status, finalizer, delete, events."""

import os
import subprocess
import sys
import tempfile
import time

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

HERE = os.path.dirname(os.path.abspath(__file__))
DEFINITION = {
    "metadata": {"name": "shelves.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "shelves", "singular": "shelf", "kind": "Shelf"},
        "versions": [{
            "name": "v1",
            "served": True,
            "storage": True,
            "subresources": {"status": {}},
            "additionalPrinterColumns": [{"name": "Count", "type": "integer", "jsonPath": ".status.count"}],
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                "spec": {
                    "type": "object",
                    "required": ["books"],
                    "properties": {"books": {"type": "array", "items": {"type": "string"}}},
                },
                "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            }}},
        }],
    },
}


def eventually(what, found, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if found():
                return
        except ApiException as refusal:
            if refusal.status != 404:
                raise
        time.sleep(0.05)
    raise AssertionError(f"never: {what}")


def check(core, custom):
    place = ("example.com", "v1", "default", "shelves")

    def shelf():
        return custom.get_namespaced_custom_object(*place, "poems")

    def books():
        return core.read_namespaced_config_map("poems-books", "default").data["books"]

    body = {"apiVersion": "example.com/v1", "kind": "Shelf", "metadata": {"name": "poems"}, "spec": {"books": ["a"]}}
    custom.create_namespaced_custom_object(*place, body)
    eventually("the books are kept", lambda: books() == "a")
    eventually("the status counts them", lambda: shelf().get("status", {}).get("count") == 1)
    eventually("the handler's answer", lambda: shelf()["status"]["create"] == {"configMap": "poems-books"})
    assert shelf()["metadata"]["finalizers"] == ["shelves.example.com/keeper"], shelf()
    owners = core.read_namespaced_config_map("poems-books", "default").metadata.owner_references
    assert [each.kind for each in owners] == ["Shelf"] and owners[0].uid == shelf()["metadata"]["uid"], owners

    custom.patch_namespaced_custom_object(*place, "poems", {"spec": {"books": ["a", "b"]}})
    eventually("the change is kept", lambda: books() == "a,b")
    eventually("the status follows", lambda: shelf()["status"]["count"] == 2)

    custom.delete_namespaced_custom_object(*place, "poems")

    def gone(read):
        try:
            read()
        except ApiException as refusal:
            return refusal.status == 404
        return False

    eventually("the finalizer let it go", lambda: gone(shelf))
    assert gone(books)
    eventually("what was done is told", lambda: any(
        "succeeded" in each.message for each in core.list_namespaced_event("default").items
        if each.involved_object.kind == "Shelf"))


def main():
    config.load_kube_config()
    definitions = client.ApiextensionsV1Api()
    definitions.create_custom_resource_definition(DEFINITION)
    eventually("the definition is established", lambda: any(
        each.type == "Established" and each.status == "True"
        for each in definitions.read_custom_resource_definition("shelves.example.com").status.conditions or []))
    with tempfile.TemporaryFile() as log:
        operator = subprocess.Popen(
            [sys.executable, "-B", "-m", "kopf", "run", "--standalone", "--namespace", "default",
             os.path.join(HERE, "kopf_handlers.py")],
            stdout=log, stderr=subprocess.STDOUT)
        try:
            check(client.CoreV1Api(), client.CustomObjectsApi())
        except Exception:
            log.seek(0)
            sys.stderr.write(log.read().decode())
            raise
        finally:
            operator.terminate()
            try:
                operator.wait(20)
            except subprocess.TimeoutExpired:
                operator.kill()
                operator.wait()
    print("kopf: all as expected")


main()
