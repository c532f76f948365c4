"""A site's own programs as manifests: the same objects as the chart ferry-agent makes, for those who have no Helm."""
