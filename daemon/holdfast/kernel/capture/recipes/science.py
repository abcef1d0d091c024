"""Astronomy and statistics: quantities that share memory, units and distributions that are the library's own."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .. import rebuild
from ..rebuild import libraries as rebuilding

if TYPE_CHECKING:
    from ..pickler import ComponentPickler


def _unit(pickler: ComponentPickler, unit: Any) -> Any:
    """Know a unit by its name where astropy has it: ``x.unit is units.km``, and no unit ties quantities together."""
    for home in ("astropy.units", "astropy.units.imperial", "astropy.units.cds"):
        for name in unit.names if home in sys.modules else ():
            if vars(sys.modules[home]).get(name) is unit:
                return pickler.known_as(rebuild.module_entry, (home, name), unit)
    return NotImplemented


def _quantity(pickler: ComponentPickler, quantity: Any) -> Any:
    """Take a quantity apart as an array with attributes; astropy's own way copies what is a view."""
    # Imported late: `arrays` imports this package.
    from .. import arrays

    return arrays.reduce_array(pickler, quantity)


def _table(pickler: ComponentPickler, table: Any) -> Any:
    """Keep a table's columns themselves; astropy's own way copies those that are quantities."""
    if table.indices:
        return NotImplemented
    state = dict(table.columns.items()), table.meta, bool(table.masked)
    return rebuild.bare_object, (type(table),), state, None, None, rebuilding.set_table


def _celestial(pickler: ComponentPickler, parameters: Any) -> Any:
    """Take the parameters of a celestial projection apart into what can be set."""
    fields = {name: getattr(parameters, name) for name in ("offset", "phi0", "theta0")}
    projection = {name: getattr(parameters.prj, name) for name in ("code", "r0", "phi0", "theta0")}
    return rebuilding.celestial_parameters, (fields, [float(value) for value in parameters.ref], projection)


def _distribution(pickler: ComponentPickler, distribution: Any) -> Any:
    """Know scipy's distributions by name: they are compared by identity."""
    home = sys.modules.get("scipy.stats")
    name = getattr(distribution, "name", None)
    if home is not None and isinstance(name, str) and vars(home).get(name) is distribution:
        return pickler.known_as(rebuild.module_entry, ("scipy.stats", name), distribution)
    return NotImplemented


_UNITS = "astropy.units.core"
RECIPES = {
    **{(_UNITS, name): _unit for name in ("IrreducibleUnit", "PrefixUnit", "Unit")},
    ("astropy.wcs", "Celprm"): _celestial,
}
DERIVED = {
    ("astropy.units.quantity", "Quantity"): _quantity,
    ("astropy.table.column", "Column"): _quantity,
    ("astropy.table.table", "Table"): _table,
    ("scipy.stats._distn_infrastructure", "rv_generic"): _distribution,
    ("scipy.stats._distn_infrastructure", "rv_continuous"): _distribution,
    ("scipy.stats._distn_infrastructure", "rv_discrete"): _distribution,
}
