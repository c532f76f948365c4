"""The harness keeps its promises: clusters that behave as real ones, walls that hold, faults that come and go."""

import json

JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: hello}
spec:
  completions: 2
  parallelism: 2
  completionMode: Indexed
  template:
    metadata: {labels: {app: hello}}
    spec:
      restartPolicy: Never
      subdomain: hello
      initContainers:
      - {name: collect, image: "python:3.11-slim-bookworm", restartPolicy: Always, command: [sleep, infinity]}
      containers:
      - name: main
        image: python:3.11-slim-bookworm
        command: [python, -c, "import socket, time; time.sleep(1); print(socket.gethostbyname('hello-0.hello'))"]
---
apiVersion: v1
kind: Service
metadata: {name: hello}
spec: {clusterIP: None, selector: {app: hello}, publishNotReadyAddresses: true}
"""


def test_an_indexed_job_with_a_sidecar_runs_and_finds_its_peers(cluster, namespace):
    cluster.kubectl("apply", "-n", namespace, "-f", "-", given=JOB)
    cluster.kubectl("wait", "-n", namespace, "--for=condition=complete", "job/hello", "--timeout=90s")
    pods = json.loads(cluster.kubectl("get", "pods", "-n", namespace, "-o", "json"))["items"]
    addresses = {pod["status"]["podIP"] for pod in pods}
    said = cluster.kubectl("logs", "-n", namespace, "-l", "app=hello", "-c", "main").split()
    assert len(said) == 2
    assert set(said) <= addresses
