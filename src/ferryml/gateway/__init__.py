"""The only door for bytes of a site: content in, outputs and logs out."""
