"""The store's errors as those that clients are told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from holdfast.errors import HoldfastError, NotTrusted, NoVersion, StateDamaged
from holdfast.store.errors import Damaged, NoSuchVersion, StoreError, StoreUnavailable, Untrusted


@contextmanager
def store_errors() -> Iterator[None]:
    """Translate what the store raises.

    Raises:
        NoVersion, NotTrusted, StateDamaged, HoldfastError: as they say.
    """
    try:
        yield
    except NoSuchVersion as error:
        raise NoVersion(error.message) from error
    except Untrusted as error:
        raise NotTrusted(error.message, detail=error.kind) from error
    except Damaged as error:
        raise StateDamaged(error.message, detail=error.what) from error
    except StoreUnavailable as error:
        raise StateDamaged(error.message, kind=error.kind) from error
    except StoreError as error:
        raise HoldfastError(error.message, kind=error.kind) from error
