"""The Indexed Job: its form by Kubernetes' own schemas, and what its containers run, index by index, on this machine."""

import os
import signal
import subprocess
import time

import kubernetes_validate
import pytest
import yaml

from conftest import ENVIRONMENT, MODEL, ROOT, check_all_is_made_once, write_jobs

FILE = os.path.join(ROOT, "Tools/kubernetes/batch.yaml")


def documents():
    with open(FILE) as file:
        return list(yaml.safe_load_all(file))


def job():
    return next(document for document in documents() if document["kind"] == "Job")


# podReplacementPolicy and backoffLimitPerIndex are there without a gate since 1.29.
@pytest.mark.parametrize("version", ["1.29", "1.31", kubernetes_validate.latest_version()])
def test_manifest_is_of_kubernetes_form(version):
    for document in documents():
        kubernetes_validate.validate(document, version, strict=True)
    broken = job()
    broken["spec"]["completionsMode"] = "Indexed"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, version, strict=True)


def test_parts_and_names_agree():
    spec = job()["spec"]
    container = spec["template"]["spec"]["containers"][0]
    assert spec["completionMode"] == "Indexed"
    assert {entry["name"]: entry.get("value") for entry in container["env"]}["SHARDS"] == str(spec["completions"])
    volumes = {volume["name"]: volume["persistentVolumeClaim"]["claimName"] for volume in spec["template"]["spec"]["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
    claims = {document["metadata"]["name"] for document in documents() if document["kind"] == "PersistentVolumeClaim"}
    assert claims == set(volumes.values())


def test_containers_make_all_pictures_once(tmp_path):
    spec = job()["spec"]
    container = spec["template"]["spec"]["containers"][0]
    count = 19
    write_jobs(tmp_path / "jobs.jsonl", count)
    command = [word.replace("/batch/", f"{tmp_path}/").replace("/model", MODEL) for word in container["command"] + container["args"]]

    def start(index):
        environment = {**ENVIRONMENT, "JOB_COMPLETION_INDEX": str(index), "SHARDS": str(spec["completions"]), "THREADS": "1"}
        return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)

    # One is killed when it has made a picture, as where its machine is taken away, and begun again.
    first = start(0)
    manifest = tmp_path / "pictures/manifest/1-of-8.jsonl"
    while first.poll() is None and not (manifest.exists() and manifest.read_text()):
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    for process in [start(index) for index in range(spec["completions"])]:
        messages = process.communicate()[1]
        assert process.returncode == 0, messages
    check_all_is_made_once(tmp_path / "pictures", count)
