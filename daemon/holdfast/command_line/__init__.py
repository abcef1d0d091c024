"""The commands of `holdfast`, one file per subject; each is a client of the daemon."""
