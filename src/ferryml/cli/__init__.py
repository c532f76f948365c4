"""The ferry command."""
