"""Capture of a session: names, components, pickles, snapshots, and the way back."""
