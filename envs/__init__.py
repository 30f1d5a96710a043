"""Environments; each folder stands alone and is usable without the rest of the repository."""
