"""What runs inside the user's interpreter: standard library and cloudpickle only.

The daemon never imports this package except for `wire`; the kernel process loads it from its folder under the private
name ``_holdfast_kernel`` (see ``__main__.py``), so that nothing is put on the user's ``sys.path``.
"""
