"""Orders become manifests here: pure functions, so that what runs in a cluster can be read and tested without one."""
