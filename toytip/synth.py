from dataclasses import dataclass

from toytip.values import parse_months

YEAR = parse_months("2020-01:2020-12")


@dataclass(frozen=True, kw_only=True)
class Synth:
    rows: int = 100_000
    seed: int = 2020


def generate(month, synth):
    raise NotImplementedError


def file_name(month):
    return f"yellow_tripdata_{month}.parquet"
