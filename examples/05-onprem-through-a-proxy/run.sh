#!/bin/sh
# Everything on-premises: the site reaches the server through a proxy and nothing else, its pods reach nothing at all.
set -eu
cd "$(dirname "$0")"

ferry data create -n pumps -t uri_folder -p ../pumps/data/first -o none
ferry data create -n pumps-test -t uri_folder -p ../pumps/data/test-first -o none
JOB=$(ferry job create -f ../pumps/train.yml --set compute=azureml:onprem --query name -o tsv)
ferry job stream -n "$JOB"
ferry model create -n pumps-model -t custom_model -p "azureml://jobs/$JOB/outputs/model" -o none

# Served where the users are
ferry online-endpoint create -f endpoint.yml -o none
ferry online-deployment create -f ../pumps/deployment.yml --all-traffic -o none
ferry online-endpoint invoke -n pumps -r ../pumps/request.json

# From now on it keeps itself up to date
ferry automation create -f automation.yml -o none

# The hot summer
ferry data create -n pumps-test -t uri_folder -p ../pumps/data/test-second -o none
ferry data create -n pumps -t uri_folder -p ../pumps/data/second -o none

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
