"""A site that is a Kubernetes cluster: wishes as custom resources, attempts as Jobs, through one thin port."""
