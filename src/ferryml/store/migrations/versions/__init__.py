"""One file a change of shape, oldest first; what was released is never edited."""
