"""Level-triggered loops: load, work, apply, guarded by a lease."""
