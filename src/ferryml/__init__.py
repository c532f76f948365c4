"""Ferry: any Kubernetes cluster, or this machine, as a machine-learning compute target."""
