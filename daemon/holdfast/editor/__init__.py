"""Standard LSP features on top of the live session, one file each."""
