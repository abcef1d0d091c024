"""How code is run, seen from the daemon: start a kernel, speak with it, interrupt it, kill it."""
