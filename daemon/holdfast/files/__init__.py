"""The files that runs wrote: which they were, what was in them before, and how they come back."""
