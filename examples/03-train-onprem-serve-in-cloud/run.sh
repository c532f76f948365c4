#!/bin/sh
# Train where the readings are and must stay, serve in the cloud: only models and metrics leave.
# ONPREM_KUBECONFIG and NAMESPACE: the plant's cluster, and the namespace of the compute `onprem` there.
set -eu
cd "$(dirname "$0")"
plant() { kubectl --kubeconfig "$ONPREM_KUBECONFIG" --namespace "$NAMESPACE" "$@"; }

# The plant puts its readings onto a volume of its own; nobody else sees them
plant apply -f plant.yml
plant wait --for=condition=Ready pod/plant --timeout=180s
plant cp ../pumps/data plant:/plant/
plant delete pod plant --grace-period=1
ferry datastore create -f records.yml -o none
ferry data create -f readings.yml --set path=azureml://datastores/records/paths/data/first -o none
ferry data create -f readings.yml -n pumps-test --set path=azureml://datastores/records/paths/data/test-first -o none

# In the cloud such a job is refused, and says why
if ferry job create -f ../pumps/train.yml --set compute=azureml:cloud 2> refused.txt; then exit 1; fi
cat refused.txt

# On-premises it runs
JOB=$(ferry job create -f ../pumps/train.yml --set compute=azureml:onprem --query name -o tsv)
ferry job stream -n "$JOB"
ferry job show -n "$JOB" --explain
ferry model create -n pumps-model -t custom_model -p "azureml://jobs/$JOB/outputs/model" -o none

# Served where the users are
ferry online-endpoint create -f endpoint.yml -o none
ferry online-deployment create -f ../pumps/deployment.yml --all-traffic -o none
ferry online-endpoint invoke -n pumps -r ../pumps/request.json

# From now on it keeps itself up to date
ferry automation create -f automation.yml -o none

# The hot summer: new readings are on the volume already, and are named here
ferry data create -f readings.yml -n pumps-test --set path=azureml://datastores/records/paths/data/test-second -o none
ferry data create -f readings.yml --set path=azureml://datastores/records/paths/data/second -o none

# People go on asking meanwhile; a request that fails would end this script
URI=$(ferry online-endpoint show -n pumps --query scoring_uri -o tsv)
KEY=$(ferry online-endpoint get-credentials -n pumps --query primaryKey -o tsv)
ask() { curl -fsS -d @../pumps/request.json -H "Content-Type: application/json" -H "Authorization: Bearer $KEY" "$@" "$URI"; }
until ferry automation history -n pumps-loop --query "[?ended].state" -o tsv | grep .; do
  for _ in 1 2 3 4 5 6 7 8 9 10; do ask > answer.json; done
done
ferry automation history -n pumps-loop -o table

# The new model answers, and its answer leads back to the readings it learnt from
ask -D headers.txt; echo
ferry trace "$(tr -d '\r' < headers.txt | sed -n 's/^[Xx]-[Rr]equest-[Ii]d: //p')"
