"""The site's router in a cluster: HAProxy serves, and what is in this package tells it what to do."""
