"""Where state is kept. `store.Store` is the face; `records` are what goes in and out; `errors` what can go wrong."""
