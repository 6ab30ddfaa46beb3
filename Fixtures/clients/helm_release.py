"""A release's life through Helm 4: install, upgrade, roll back, uninstall, with a hook, a CRD and notes.

Helm stores each revision as a Secret written in protobuf, so this covers that encoding too.
"""

import base64
import os

import helm_python as helm
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

CHART = os.path.join(os.path.dirname(os.path.abspath(__file__)), "chart")


def missing(call, *arguments):
    try:
        call(*arguments)
    except ApiException as refusal:
        return refusal.status == 404
    return False


def main():
    config.load_kube_config()
    core, apps, custom = client.CoreV1Api(), client.AppsV1Api(), client.CustomObjectsApi()

    def greeting():
        found = custom.get_namespaced_custom_object("charts.example.com", "v1", "shop", "greetings", "greeter")
        return found["spec"]["text"]

    def hook_revision():
        return core.read_namespaced_config_map("greeter-hook", "shop").data["revision"]

    def statuses(helm_config):
        return [(each["revision"], each["status"]) for each in helm_config.history("greeter")]

    with helm.Config(namespace="shop") as releases:
        releases.check_reachable()

        planned = releases.install(CHART, "greeter", dry_run="client")
        assert "kind: Deployment" in planned["manifest"], planned
        assert missing(core.read_namespace, "shop")

        installed = releases.install(CHART, "greeter", create_namespace=True, description="the first")
        assert installed["status"] == "deployed" and installed["revision"] == 1, installed
        assert installed["notes"].startswith("greeter says hello on Kubernetes v1.36."), installed
        deployment = apps.read_namespaced_deployment("greeter", "shop")
        assert deployment.metadata.labels["app.kubernetes.io/managed-by"] == "Helm", deployment
        assert deployment.metadata.annotations["meta.helm.sh/release-name"] == "greeter", deployment
        assert greeting() == "hello" and hook_revision() == "1"

        try:
            releases.install(CHART, "greeter")
            raise AssertionError("a name in use was taken twice")
        except helm.HelmError as refusal:
            assert "a name that is still in use" in str(refusal), refusal

        upgraded = releases.upgrade(CHART, "greeter", {"replicas": 2, "greeting": "bye"})
        assert upgraded["revision"] == 2 and upgraded["notes"].startswith("greeter says bye"), upgraded
        assert apps.read_namespaced_deployment("greeter", "shop").spec.replicas == 2
        assert greeting() == "bye" and hook_revision() == "2"

        releases.rollback("greeter")
        assert statuses(releases) == [(1, "superseded"), (2, "superseded"), (3, "deployed")], statuses(releases)
        assert apps.read_namespaced_deployment("greeter", "shop").spec.replicas == 1
        assert greeting() == "hello"

        secret = core.read_namespaced_secret("sh.helm.release.v1.greeter.v3", "shop")
        assert secret.type == "helm.sh/release.v1", secret
        assert base64.b64decode(base64.b64decode(secret.data["release"]))[:2] == b"\x1f\x8b"

        releases.uninstall("greeter")
        assert releases.list() == []
        assert missing(apps.read_namespaced_deployment, "greeter", "shop")
        assert missing(core.read_namespaced_service, "greeter", "shop")
        left = core.list_namespaced_secret("shop", label_selector="owner=helm").items
        assert left == [], left
        # Neither hooks nor definitions belong to a release: they stay.
        assert hook_revision() == "2"
        client.ApiextensionsV1Api().read_custom_resource_definition("greetings.charts.example.com")
    print(f"helm {helm.helm_sdk_version()}: all as expected")


main()
