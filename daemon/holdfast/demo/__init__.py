"""The scripts that `holdfast demo` runs; they are copied, never imported."""
