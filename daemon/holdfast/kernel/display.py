"""Rich display: what an object shows itself as, and the functions cells call to show one.

An object is asked as in a notebook: ``_repr_mimebundle_`` first, then ``_repr_html_`` and its siblings;
``text/plain`` is always there. ``display``, ``update_display`` and ``clear_output`` are put among the builtins, since
IPython, from which one would import them, need not be installed; where it is imported, its functions are led here.
"""

from __future__ import annotations

import builtins
import json
import os
import sys
from binascii import b2a_base64
from collections.abc import Collection
from typing import Any

from .outbox import Outbox
from .text import clean, describe, pretty, type_name

_METHODS = {
    "_repr_html_": "text/html",
    "_repr_markdown_": "text/markdown",
    "_repr_svg_": "image/svg+xml",
    "_repr_png_": "image/png",
    "_repr_jpeg_": "image/jpeg",
    "_repr_latex_": "text/latex",
    "_repr_json_": "application/json",
    "_repr_javascript_": "application/javascript",
    "_repr_pdf_": "application/pdf",
}
_CANARY = "_ipython_canary_method_should_not_exist_"

Bundle = tuple[dict[str, Any], dict[str, Any]]

_outbox: Outbox | None = None
_last: Any = None


def install(outbox: Outbox) -> None:
    """Let displays go to `outbox`, and show results of cells through sys.displayhook."""
    global _outbox
    _outbox = outbox
    for function in (display, update_display, clear_output):
        setattr(builtins, function.__name__, function)
    sys.displayhook = show_result


def adopt_ipython(module: Any) -> None:
    """IPython was imported, but its shell does not run here: its display functions publish through ours."""
    for function in (display, update_display, clear_output, publish_display_data):
        setattr(module, function.__name__, function)


def bundle(value: object, include: Collection[str] | None = None, exclude: Collection[str] | None = None) -> Bundle:
    """Return the MIME bundle of `value` and its metadata; binary content as base64 text, as nbformat has it."""
    found: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    if not isinstance(value, type) and _method(value, _CANARY) is None:
        _ask(value, found, metadata, include, exclude)
        _figure(value, found)
    wanted = {
        mime: _encode(mime, content)
        for mime, content in found.items()
        if (not include or mime in include) and mime not in (exclude or ())
    }
    if "text/plain" not in wanted:
        wanted = {"text/plain": pretty(value), **wanted}
    return wanted, _plain(metadata)


def show_result(value: object) -> None:
    """Show the value of a cell's last expression, and keep it as ``_``."""
    global _last
    if value is None or _outbox is None:
        return
    missing = object()
    current = getattr(builtins, "_", missing)
    if current is missing or current is _last:
        # gettext.install() puts its own `_` there, which stays.
        builtins._ = _last = value  # type: ignore[attr-defined]
    if _shows_itself(value):
        return
    if not _outbox.is_open:
        print(pretty(value))
        return
    data, metadata = bundle(value)
    _outbox.output(
        {
            "output_type": "execute_result",
            "execution_count": _outbox.count,
            "data": data,
            "metadata": metadata,
        }
    )


class DisplayHandle:
    """What ``display(..., display_id=...)`` returns: the same place can be shown anew."""

    def __init__(self, display_id: str) -> None:
        self.display_id = display_id

    def display(self, value: object, **options: Any) -> None:
        """Show `value` in a new place with this id."""
        display(value, display_id=self.display_id, **options)

    def update(self, value: object, **options: Any) -> None:
        """Replace what is shown under this id."""
        update_display(value, display_id=self.display_id, **options)


def display(
    *values: object,
    include: Collection[str] | None = None,
    exclude: Collection[str] | None = None,
    metadata: dict[str, Any] | None = None,
    transient: dict[str, Any] | None = None,
    display_id: str | bool | None = None,
    raw: bool = False,
    clear: bool = False,
    **options: Any,
) -> DisplayHandle | None:
    """Show objects as richly as they can.

    Args:
        values: what to show; MIME bundles if `raw`.
        include: MIME types to keep (all if None).
        exclude: MIME types to leave out.
        metadata: goes along with each output.
        transient: more that is not stored in notebooks.
        display_id: an id for later updates; True makes one.
        raw: `values` are MIME bundles already.
        clear: clear the cell's output first.
        options: `update=True` replaces what is shown under `display_id`.

    Returns:
        A handle if `display_id` was given.
    """
    update = bool(options.pop("update", False))
    handle = None
    transient = dict(transient or {})
    if display_id:
        handle = DisplayHandle(os.urandom(16).hex() if display_id is True else str(display_id))
        transient["display_id"] = handle.display_id
    if clear:
        clear_output(wait=True)
    for value in values:
        if raw and isinstance(value, dict):
            data, extra = _encode_all(value), metadata or {}
        elif not update and _shows_itself(value):
            continue
        else:
            data, extra = bundle(value, include, exclude)
        _publish(data, {**extra, **(metadata or {})}, transient, update=update)
    return handle


def update_display(value: object, *, display_id: str, **options: Any) -> None:
    """Replace what was shown with this `display_id`."""
    display(value, display_id=display_id, update=True, **options)


def clear_output(wait: bool = False) -> None:
    """Clear what the current cell has shown so far; with `wait`, only when something new comes."""
    if _outbox is not None and _outbox.is_open:
        _outbox.output({"output_type": "clear_output", "wait": bool(wait)})


def publish_display_data(
    data: dict[str, Any],
    metadata: dict[str, Any] | None = None,
    *,
    transient: dict[str, Any] | None = None,
    update: bool = False,
    **_options: Any,
) -> None:
    """Show a ready MIME bundle; the signature is that of IPython's function."""
    _publish(_encode_all(data), dict(metadata or {}), dict(transient or {}), update=update)


def _publish(data: dict[str, Any], metadata: dict[str, Any], transient: dict[str, Any], *, update: bool) -> None:
    if _outbox is None or not _outbox.is_open:
        # A forked child has no way to show pictures.
        print(data.get("text/plain", ""))
        return
    kind = "update_display_data" if update else "display_data"
    output = {"output_type": kind, "data": data, "metadata": _plain(metadata)}
    if transient:
        output["transient"] = _plain(transient)
    _outbox.output(output)


def _method(value: object, name: str) -> Any:
    """Return a display method of `value`; None if it has none, or if looking for it fails."""
    try:
        method = getattr(value, name, None)
    except Exception:  # noqa: BLE001 - runs the user's __getattr__, which may raise anything
        return None
    return method if callable(method) else None


def _call(value: object, name: str, **arguments: Any) -> Any:
    method = _method(value, name)
    if method is None:
        return None
    try:
        return method(**arguments)
    except NotImplementedError:
        return None
    except Exception as error:  # noqa: BLE001 - runs the user's code; the plain text is still shown
        print(f"{type_name(value)}.{name}() raised {clean(describe(error))}", file=sys.stderr)
        return None


def _ask(
    value: object,
    found: dict[str, Any],
    metadata: dict[str, Any],
    include: Collection[str] | None,
    exclude: Collection[str] | None,
) -> None:
    answer = _call(value, "_repr_mimebundle_", include=include, exclude=exclude)
    if isinstance(answer, tuple) and len(answer) == 2:
        answer, more = answer
        metadata.update(more or {})
    if isinstance(answer, dict):
        found.update(answer)
    for name, mime in _METHODS.items():
        if mime in found or mime in (exclude or ()) or (include and mime not in include):
            continue
        answer = _call(value, name)
        if isinstance(answer, tuple) and len(answer) == 2:
            answer, more = answer
            if more:
                metadata[mime] = more
        if answer is not None:
            found[mime] = answer


def _figure(value: object, found: dict[str, Any]) -> None:
    module = sys.modules.get("matplotlib.figure")
    if module is not None and isinstance(value, module.Figure) and "image/png" not in found:
        from . import figures

        png = figures.render(value)
        if png is not None:
            found["image/png"] = png


def _shows_itself(value: object) -> bool:
    """Let an object that draws itself with IPython's functions do so; they publish through ours."""
    if "IPython.core.display_functions" not in sys.modules or isinstance(value, type):
        return False
    if _method(value, _CANARY) is not None:
        return False
    method = _method(value, "_ipython_display_")
    if method is None:
        return False
    try:
        method()
    except Exception:  # noqa: BLE001 - NotImplementedError by convention, or broken; shown the usual way then
        return False
    return True


def _encode_all(data: dict[str, Any]) -> dict[str, Any]:
    return {mime: _encode(mime, content) for mime, content in data.items()}


def _encode(mime: str, content: Any) -> Any:
    if isinstance(content, bytes | bytearray | memoryview):
        if mime.startswith("text/") or mime == "image/svg+xml":
            return clean(bytes(content).decode("utf-8", "backslashreplace"))
        return b2a_base64(content, newline=False).decode("ascii")
    if mime.endswith("json"):
        return _plain(content)
    return clean(content if isinstance(content, str) else str(content))


def _plain(value: Any) -> Any:
    """Return `value` as JSON has it: what JSON does not know becomes text, not-a-number becomes null."""
    text = json.dumps(value, default=str, skipkeys=True)
    return json.loads(text, parse_constant=lambda _: None)
