"""One file that holds a session, to be carried elsewhere. `docs/portable.md` describes it."""
