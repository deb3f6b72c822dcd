"""The Dask graph: lazy frames over partitions, the stages mapped over them, and sinks that write parts.

Between two barriers all that happens to a partition is one fused task. Nothing here computes while it builds;
`collect` does, and tells the progress of every partition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

import dask
import dask.dataframe as dd
import distributed
import numpy as np
import pandas as pd

from toytip import cluster, reach, reader, source, splits, synth
from toytip.barrier import gather
from toytip.keeper import StoreKeeper
from toytip.progress import Stage
from toytip.schema import PREDICTIONS, PROFILES, REJECTS, SCORES, TRIPS, Table
from toytip.stages import clean, conform, featurize, infer, postprocess, preprocess, profile, summary
from toytip.store import Store
from toytip.tally import Summary, merge
from toytip.values import Access, Encoding, Model, Month, MonthPart, PartRecord

VERDICT = pd.Series(dtype="int8", name="verdict")


@dataclass(frozen=True)
class Done:
    """What is left of a partition at a barrier: the parts that it wrote, and by which worker, or what it adds up to."""

    rows: int
    worker: str = ""
    records: dict[str, PartRecord] = field(default_factory=dict)
    summary: Summary = field(default_factory=dict)
    census: preprocess.Census | None = None


@dataclass(frozen=True)
class Rule:
    """How predictions are summed up: by the splits and rates of an encoding, and the names of the zones' boroughs.

    With a `champion`, what it says of the same test rows is summed up beside.
    """

    encoding: Encoding
    boroughs: tuple[str, ...] = ()
    champion: Model | None = None

    def __call__(self, predictions: pd.DataFrame, features: pd.DataFrame) -> Summary:
        """Return the summary of a partition."""
        found = summary.summarize(predictions, features, self.encoding, self.boroughs)
        if self.champion is None:
            return found
        rows = features[splits.of(features, self.encoding.split, "all", "test")].reset_index(drop=True)
        said = postprocess.postprocess(_score(rows, self.champion), self.champion.threshold)
        return found | summary.summarize(said, rows, self.encoding, self.boroughs, predictor="champion")


@dataclass(frozen=True)
class Summing:
    """What predictions are summed up with: lazy features of the same rows, and the rule."""

    features: dd.DataFrame
    rule: Rule


LAZY_DONE = pd.Series(dtype=object, name="done")


def _frames(
    read: Callable[..., pd.DataFrame], items: Sequence[Any], shape: Table, /, **kwargs: Any
) -> dd.DataFrame:
    # Our strings have their dtype already; Dask's own conversion would only change it.
    with dask.config.set({"dataframe.convert-string": False}):
        return dd.from_map(
            read, list(items), meta=shape.empty(), label=shape.name, enforce_metadata=False, **kwargs
        )


def _map(
    frame: dd.DataFrame, stage: Callable[..., Any], meta: Any, *args: Any, **kwargs: Any
) -> dd.DataFrame:
    return frame.map_partitions(stage, *args, meta=meta, enforce_metadata=False, **kwargs)


def _read_trips(part: MonthPart) -> pd.DataFrame:
    return conform.conform(reader.load(part), part)


def _read_part(record: PartRecord, store: Store, table: Table, version: str, *, making: bool) -> pd.DataFrame:
    return store.read(table, version, record, making=making)


def raw_trips(parts: Sequence[MonthPart]) -> dd.DataFrame:
    """Read monthly files: `trips`, not yet clean."""
    return _frames(_read_trips, parts, TRIPS)


def published(
    store: Store, table: Table, version: str, records: Sequence[PartRecord], *, making: bool = False
) -> dd.DataFrame:
    """Read parts of a published version, or of one that is being made."""
    return _frames(_read_part, records, table, store=store, table=table, version=version, making=making)


def cleaned(trips: dd.DataFrame) -> tuple[dd.DataFrame, dd.DataFrame]:
    """Split trips into those kept, and `rejects`."""
    verdict = _map(trips, clean.judge, VERDICT)
    return _map(trips, clean.keep, TRIPS.empty(), verdict), _map(
        trips, clean.reject, REJECTS.empty(), verdict
    )


def featurized(trips: dd.DataFrame) -> dd.DataFrame:
    """Make `features` of kept trips."""
    return _map(trips, featurize.featurize, featurize.TABLE.empty())


def profiled(features: dd.DataFrame) -> dd.DataFrame:
    """Make `profiles` of features, one a partition."""
    return _map(features, profile.profile, PROFILES.empty())


@dataclass(frozen=True)
class Known:
    """What training left: the scores of the rows that it trained on, by partition."""

    keeper: StoreKeeper
    paths: tuple[str, ...]


def scored(features: dd.DataFrame, model: Model, known: Known | None = None) -> dd.DataFrame:
    """Make `scores` of features. The model is one value of the graph, not a copy in every task."""
    return _map(features, _score, SCORES.empty(), dask.delayed(model, pure=True), known)


def _score(
    features: pd.DataFrame,
    model: Model,
    known: Known | None = None,
    partition_info: dict[str, int] | None = None,
) -> pd.DataFrame:
    """Score a partition; of the rows that were trained on, what the trained booster said is as good."""
    chances = None
    if known is not None and partition_info is not None:
        chances = known.keeper.scores_of(known.paths[partition_info["number"]])
    if chances is None:
        return infer.infer(features, preprocess.encode(features, model.encoding), model)
    trained = splits.of(features, model.encoding.split, model.encoding.population, "train")
    whole = np.empty(len(features), np.float32)
    whole[trained] = chances
    rest = features[~trained]
    whole[~trained] = infer.probability(preprocess.encode(rest, model.encoding), model.booster)
    return infer.scores(features, whole, model)


def decided(scores: dd.DataFrame, threshold: float) -> dd.DataFrame:
    """Make `predictions` of scores."""
    return _map(scores, postprocess.postprocess, PREDICTIONS.empty(), threshold)


def encoded(features: dd.DataFrame, encoding: Encoding, split: str) -> dd.DataFrame:
    """Make the matrix of one split's rows, with the label as its last column; rows that are alike beside each other.

    The index of a partition says where a row stood among them.
    """
    meta = preprocess.matrix_table(encoding).empty().assign(high_tip=pd.Series(dtype="bool"))
    return _map(features, _encode, meta, encoding, split)


def _encode(features: pd.DataFrame, encoding: Encoding, split: str) -> pd.DataFrame:
    rows = features[splits.of(features, encoding.split, encoding.population, split)].reset_index(drop=True)
    matrix = preprocess.encode(rows, encoding).assign(high_tip=rows["high_tip"])
    order = preprocess.alike(matrix, encoding)
    return matrix.take(order).set_axis(pd.Index(order, dtype="uint32"))


def written(
    store: Store,
    version: str,
    records: Sequence[PartRecord],
    frames: dict[Table, dd.DataFrame],
    summing: Summing | None = None,
) -> dd.Series:
    """Write frames, partition by partition, as parts of their tables: a lazy series of Done.

    `records` say of each partition what is known beforehand: its key, its input, its identity. With `summing` the
    first table is summed up with the features that it was made of.
    """
    first, *others = frames.values()
    if summing is not None:
        others.append(summing.features)
    return _map(
        first, _write, LAZY_DONE, *others,
        store=store, version=version, records=tuple(records), tables=tuple(frames),
        sums=None if summing is None else dask.delayed(summing.rule, pure=True),
    )  # fmt: skip


def _write(
    *frames: pd.DataFrame,
    store: Store,
    version: str,
    records: tuple[PartRecord, ...],
    tables: tuple[Table, ...],
    sums: Rule | None,
    partition_info: dict[str, int] | None = None,
) -> pd.Series:
    assert partition_info is not None, "Dask tells every task its partition"
    planned = records[partition_info["number"]]
    written = {}
    for table, frame in zip(tables, frames, strict=False):  # the features that are summed come last
        reasons = clean.count_reasons(frame) if table == REJECTS else {}
        written[table.name] = store.write(table, version, replace(planned, rejects=reasons), frame)
    found = sums(frames[0], frames[-1]) if sums else {}
    worker = distributed.get_worker().address
    done = Done(len(frames[0]), worker, records=written, summary=found)
    return pd.Series([done], dtype=object, name="done")


def tallied(predictions: dd.DataFrame, summing: Summing) -> dd.Series:
    """Sum up predictions with the features that they were made of: a lazy series of Done."""
    return _map(predictions, _tally, LAZY_DONE, summing.features, dask.delayed(summing.rule, pure=True))


def _tally(predictions: pd.DataFrame, features: pd.DataFrame, rule: Rule) -> pd.Series:
    done = Done(len(predictions), summary=rule(predictions, features))
    return pd.Series([done], dtype=object, name="done")


def counted(features: dd.DataFrame, names: tuple[str, ...], encoding: Any, population: str) -> dd.Series:
    """Take the census of the training rows: a lazy series of Done."""
    return _map(features, _count, LAZY_DONE, names, encoding, population)


def _count(features: pd.DataFrame, names: tuple[str, ...], split: Any, population: str) -> pd.Series:
    census = preprocess.take_census(features, names, split, population)
    return pd.Series([Done(len(features), census=census)], dtype=object, name="done")


def held(client: distributed.Client, frame: dd.DataFrame) -> dd.DataFrame:
    """Compute a frame's partitions once and hold them on the workers."""
    frame = client.persist(frame)
    distributed.wait(frame)
    return frame


def chosen(frame: dd.DataFrame, numbers: Sequence[int]) -> dd.DataFrame:
    """Return some partitions of a frame."""
    return frame.partitions[list(numbers)]


def merged(done: Iterable[Done]) -> Summary:
    """Merge the summaries of all partitions."""
    return reduce(merge, (item.summary for item in done), {})


def synthesize(
    client: distributed.Client, uris: dict[Month, str], access: Access, plan: synth.Synth, stage: Stage
) -> int:
    """Generate months of the synthetic year on the workers, a task for each; return the rows."""
    futures = [
        client.submit(_synthesize, month, uri, access, plan, pure=False) for month, uri in uris.items()
    ]
    return sum(gather(futures, stage, rows=lambda rows: rows))


def _synthesize(month: Month, uri: str, access: Access, plan: synth.Synth) -> int:
    return source.save(synth.generate(month, plan), uri, access)


def checksums(client: distributed.Client, files: Sequence[source.SourceFile], stage: Stage) -> list[str]:
    """Return the checksums of source files, each read by a worker."""
    futures = [client.submit(source.checksum, file.uri, file.access, pure=False) for file in files]
    return gather(futures, stage, rows=lambda _: 0)


def bytes_read(client: distributed.Client) -> int:
    """Return the bytes of sources that the workers which are there, and this process, have read so far."""
    said = cluster.told(client, reach.bytes_read).values()
    return sum(each for each in said if isinstance(each, int)) + reach.bytes_read()
