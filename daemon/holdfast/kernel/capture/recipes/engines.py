"""Objects that stand for something outside Python's heap: Spark sessions, boosting data, OpenCV's small structures."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .. import rebuild
from ..rebuild import libraries as rebuilding
from .registry import CannotKeep

if TYPE_CHECKING:
    from ..pickler import ComponentPickler

_OF_THIS_RUN = ("spark.app.id", "spark.app.startTime", "spark.app.submitTime", "spark.driver.host", "spark.driver.port")
_ALSO = ("spark.executor.id", "spark.sql.warehouse.dir", "spark.submit.pyFiles", "spark.submit.deployMode")


def _spark_session(pickler: ComponentPickler, session: Any) -> Any:
    """Keep a session's options; a restore begins a session with them."""
    context = session.sparkContext
    if context._jsc is None or session._jvm is None:
        raise CannotKeep("it was stopped", "begin it again in the cell that uses it")
    fixed = {name: value for name, value in context.getConf().getAll() if name not in (*_OF_THIS_RUN, *_ALSO)}
    read = session.conf.getAll
    set_later = {str(name): str(value) for name, value in (read() if callable(read) else read).items()}
    later = {name: value for name, value in set_later.items() if name not in (*fixed, *_OF_THIS_RUN, *_ALSO)}
    changed = {name: set_later[name] for name in fixed if set_later.get(name, fixed[name]) != fixed[name]}
    return rebuilding.spark_session, (fixed, {**later, **changed})


def _spark_context(pickler: ComponentPickler, context: Any) -> Any:
    session = sys.modules["pyspark.sql"].SparkSession(context)
    return rebuilding.spark_context, (session,)


def _spark_data(pickler: ComponentPickler, data: Any) -> Any:
    raise CannotKeep(
        "it is a plan inside its Spark session",
        "write it (frame.write.parquet(…)) and read it in the cell that uses it, or keep frame.toPandas()",
    )


def _boosting_data(pickler: ComponentPickler, dataset: Any) -> Any:
    """Keep what a lightgbm Dataset was made of; it builds its bins again when it is needed."""
    if dataset._handle is not None and dataset.data is None:
        raise CannotKeep(
            "LightGBM freed the data that it was made of",
            "make it with free_raw_data=False, or make it again in the cell that uses it",
        )
    state = {**dataset.__dict__, "_handle": None, "_need_slice": True}
    if dataset._params_back_up is not None:
        state["params"] = dataset._params_back_up
    return rebuild.bare_object, (type(dataset),), state, None, None, rebuild.set_attributes


def _key_point(pickler: ComponentPickler, point: Any) -> Any:
    values = (*point.pt, point.size, point.angle, point.response, point.octave, point.class_id)
    return rebuilding.call, ("cv2", "KeyPoint", values)


def _match(pickler: ComponentPickler, match: Any) -> Any:
    return rebuilding.call, ("cv2", "DMatch", (match.queryIdx, match.trainIdx, match.imgIdx, match.distance))


def _progress_bar(pickler: ComponentPickler, bar: Any) -> Any:
    raise CannotKeep("a progress bar belongs to the run that draws it", "make it again in the cell that uses it")


DERIVED = {("tqdm.std", "tqdm"): _progress_bar}
RECIPES = {
    ("pyspark.sql.session", "SparkSession"): _spark_session,
    ("pyspark.core.context", "SparkContext"): _spark_context,
    ("pyspark.context", "SparkContext"): _spark_context,
    ("pyspark.sql.classic.dataframe", "DataFrame"): _spark_data,
    ("pyspark.sql.dataframe", "DataFrame"): _spark_data,
    ("pyspark.core.rdd", "RDD"): _spark_data,
    ("lightgbm.basic", "Dataset"): _boosting_data,
    ("cv2", "KeyPoint"): _key_point,
    ("cv2", "DMatch"): _match,
}
