"""Values in forms that can be read without pickle: what an export is made of, and an import brings back.

`docs/portable.md` describes the forms. Nothing here imports anything else of the kernel at load time.
"""
