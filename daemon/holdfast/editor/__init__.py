"""Standard LSP features on top of the live session, one file each.

`traces` knows what ran; `features` registers the others with a client's server.
"""
