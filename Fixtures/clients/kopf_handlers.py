"""A small operator: every Shelf keeps one ConfigMap, and empties it before it goes."""

import kopf
from kubernetes import client, config


@kopf.on.startup()
def start(settings, **_):
    config.load_kube_config()
    settings.posting.loggers = True
    settings.persistence.finalizer = "shelves.example.com/keeper"
    settings.execution.max_workers = 4


@kopf.on.create("example.com", "v1", "shelves")
def create(spec, name, namespace, patch, **_):
    body = {"metadata": {"name": f"{name}-books"}, "data": {"books": ",".join(spec["books"])}}
    kopf.adopt(body)
    made = client.CoreV1Api().create_namespaced_config_map(namespace, body)
    patch.status["count"] = len(spec["books"])
    return {"configMap": made.metadata.name}


@kopf.on.update("example.com", "v1", "shelves", field="spec.books")
def update(new, name, namespace, patch, **_):
    client.CoreV1Api().patch_namespaced_config_map(f"{name}-books", namespace, {"data": {"books": ",".join(new)}})
    patch.status["count"] = len(new)


@kopf.on.delete("example.com", "v1", "shelves")
def delete(name, namespace, **_):
    client.CoreV1Api().delete_namespaced_config_map(f"{name}-books", namespace)
