"""How the session logs: levels, handlers and filters of all loggers, and what holds for logging as a whole."""

from __future__ import annotations

import sys
from typing import Any

from .provider import Parts, failed

_DEFAULTS = (0, True, False)
_LOGGERS = "loggers"
_SETTINGS = "settings"
_HANDLERS = "handlers of "
_FILTERS = "filters of "
_CLASSES = {"logger class": "LoggerClass", "record factory": "LogRecordFactory"}
_ROOT = "root"


class Logging(Parts):
    """Loggers by name; a handler that can't be saved costs its logger the handlers, and nothing else."""

    name = "logging"
    module = "logging"

    def _is_own(self, handler: Any) -> bool:
        """Whether a handler does something and was not there at the start."""
        return type(handler) is not _logging().NullHandler and id(handler) not in self._first_handlers

    def begin(self) -> None:
        """Take note of how it logs so far."""
        self._levels_named = dict(_logging()._levelToName)
        self._classes = _classes()
        self._first_handlers = {id(handler): handler for logger in _loggers().values() for handler in logger.handlers}
        self._start = self._plain()

    def mark(self) -> Any:
        """Return the plain state of the loggers that were touched, and which handlers and filters they have."""
        logging = _logging()
        kind, root = logging.Logger, logging.root
        loggers = [
            (one.name, one.level, one.propagate, one.disabled, one.handlers[:], one.filters[:])
            for one in (root, *root.manager.loggerDict.values())
            if isinstance(one, kind) and (one.level or one.handlers or one.filters or one.disabled or not one.propagate)
        ]
        handlers = [(one, _shown(one)) for logger in loggers for one in logger[4] if self._is_own(one)]
        self.live = any(logger[5] for logger in loggers) or not all(shown for _, shown in handlers)
        return (
            loggers,
            handlers,
            root.manager.disable,
            len(logging._levelToName),
            _classes(),
            logging._warnings_showwarning is not None,
        )

    def _plain(self) -> dict[str, dict[str, Any]]:
        logging = _logging()
        loggers = {
            name: state
            for name, one in sorted(_loggers().items())
            if (state := (one.level, one.propagate, one.disabled)) != _DEFAULTS
        }
        settings: dict[str, Any] = {"capture warnings": logging._warnings_showwarning is not None}
        settings["disable"] = logging.root.manager.disable
        names = logging._levelToName.items()
        settings["level names"] = {level: name for level, name in names if self._levels_named.get(level) != name}
        return {_LOGGERS: loggers, _SETTINGS: settings}

    def read(self) -> dict[str, Any]:
        """Return what differs from the start; handlers that do nothing or were there already are not the session's."""
        parts: dict[str, Any] = {part: state for part, state in self._plain().items() if state != self._start[part]}
        for name, logger in _loggers().items():
            if handlers := [one for one in logger.handlers if self._is_own(one)]:
                parts[_HANDLERS + name] = handlers
            if logger.filters:
                parts[_FILTERS + name] = logger.filters[:]
        parts.update((part, value) for part, value in _classes().items() if value is not self._classes[part])
        return parts

    def write(self, parts: dict[str, Any]) -> list[str]:
        """Let all loggers be as they were; those that were not mentioned, as they were at the start."""
        problems: list[str] = []
        logging = _logging()
        for part, value in {**self._classes, **parts}.items():
            if part in _CLASSES:
                getattr(logging, f"set{_CLASSES[part]}")(value)
        states = {**self._start[_LOGGERS], **parts.get(_LOGGERS, {})}
        owners = {part.removeprefix(kind) for part in parts for kind in (_HANDLERS, _FILTERS) if part.startswith(kind)}
        known = _loggers()
        for name in {*known, *states, *owners}:
            logger = known.get(name) or logging.getLogger(name)
            try:
                level, logger.propagate, logger.disabled = states.get(name, _DEFAULTS)
                # Clears what the loggers remember of being enabled.
                logger.setLevel(level)
            except (TypeError, ValueError) as error:
                problems.append(failed(f"level of {name}", error))
            self._attach(logger, parts.get(_HANDLERS + name, []))
            logger.filters[:] = parts.get(_FILTERS + name, [])
        settings = {**self._start[_SETTINGS], **parts.get(_SETTINGS, {})}
        for number, name in settings["level names"].items():
            logging.addLevelName(number, name)
        logging.disable(settings["disable"])
        logging.captureWarnings(settings["capture warnings"])
        return problems

    def _attach(self, logger: Any, handlers: list[Any]) -> None:
        """Give a logger its handlers; those that a library's import has made anew are not made twice."""
        present = [one for one in logger.handlers if not self._is_own(one)]
        anew = [one for one in logger.handlers if self._is_own(one) and _is_librarys(one)]
        wanted = [next((one for one in anew if type(one) is type(saved)), saved) for saved in handlers]
        logger.handlers[:] = [*present, *wanted]


def _logging() -> Any:
    return sys.modules["logging"]


def _loggers() -> dict[str, Any]:
    logging = _logging()
    kind = logging.Logger
    named = {name: one for name, one in tuple(logging.root.manager.loggerDict.items()) if isinstance(one, kind)}
    return {_ROOT: logging.root, **named}


def _classes() -> dict[str, Any]:
    return {part: getattr(_logging(), f"get{name}")() for part, name in _CLASSES.items()}


def _shown(handler: Any) -> tuple[Any, ...]:
    """Return all there is to a plain handler for a file or for the output of the process; nothing for others."""
    logging = _logging()
    if type(handler) is logging.FileHandler:
        target = handler.baseFilename
    elif type(handler) is logging.StreamHandler and (name := _stream_name(handler.stream)):
        target = name
    else:
        return ()
    formatter = handler.formatter
    if handler.filters or type(formatter) not in (type(None), logging.Formatter):
        return ()
    layout = formatter and (formatter._fmt, formatter.datefmt, id(formatter._style))
    return target, handler.level, handler.name, id(formatter), layout


def _stream_name(stream: Any) -> str | None:
    names = ("stderr", "stdout", "__stderr__", "__stdout__")
    return next((name for name in names if stream is getattr(sys, name, None)), None)


def _is_librarys(handler: Any) -> bool:
    return str(type(handler).__module__).partition(".")[0] not in ("logging", "__main__")
