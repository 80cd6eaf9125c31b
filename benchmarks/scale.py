"""How long a large archive takes, on how many machines, what it costs and what holds it up: arithmetic, no measuring.

    python benchmarks/scale.py --images 10000000 1000000000 --machines 10 100

Every number that goes in is an option. The defaults are figures that docs/scale.md says how to measure, on two slow
cores: measure your own. Prices are 0 until you name them, in any currency.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

HOUR = 3600.0
LIST_RATE, JOURNAL_RATE, KNOWN_RATE = 93_000.0, 2_300.0, 1_850.0  #: a second of one processor; docs/scale.md


@dataclass(frozen=True)
class Costs:
    """What one image and one machine are worth.

    Attributes:
        rate: images a second that one machine decodes and looks at.
        megabytes: of one file.
        network: megabytes a second that one machine reads.
        list_rate: paths a second that one process lists.
        journal_rate: answers a second that one process journals and writes.
        known_rate: inputs a second that one process finds unchanged.
        journal_bytes, output_bytes: an input, in the journal and in the output.
        shard_images: inputs of one journal, at most.
        machine_price: an hour of one machine.
        request_price: a thousand reads of an object store.
        transfer_price: a gigabyte read.
    """

    rate: float
    megabytes: float
    network: float
    list_rate: float
    journal_rate: float
    known_rate: float
    journal_bytes: float
    output_bytes: float
    shard_images: int
    machine_price: float
    request_price: float
    transfer_price: float


@dataclass(frozen=True)
class Plan:
    """Of one archive on so many machines: hours of each part, and what they come to.

    Attributes:
        shards: commands, each with a journal of its own; at least one a machine.
        hours: of each part, which run beside one another: the slowest holds up the rest.
        rerun: hours until every shard has found that nothing changed.
    """

    images: int
    machines: int
    shards: int
    hours: dict[str, float]
    rerun: float
    journals: float
    outputs: float
    price: float

    @property
    def bottleneck(self) -> str:
        """The part that takes longest."""
        return max(self.hours, key=lambda part: self.hours[part])


def plan(images: int, machines: int, costs: Costs) -> Plan:
    """Every shard lists everything and keeps its part (`--shard`); each machine works off its shards in turn.

    >>> costs = Costs(10, 1, 100, 1e5, 1e3, 2e3, 2000, 600, 10**7, 1, 0, 0)
    >>> found = plan(3_600_000, 10, costs)
    >>> found.shards, found.bottleneck, found.hours["look"], found.price
    (10, 'look', 10.0, 100.0)
    """
    shards = ceil(max(images / costs.shard_images, 1) / machines) * machines
    in_turn, each = shards // machines, images / machines
    hours = {
        "list": in_turn * images / costs.list_rate / HOUR,
        "read": each * costs.megabytes / costs.network / HOUR,
        "look": each / costs.rate / HOUR,
        "journal": each / costs.journal_rate / HOUR,
    }
    longest = max(hours.values())
    read = images / 1000 * costs.request_price + images * costs.megabytes / 1000 * costs.transfer_price
    return Plan(
        images,
        machines,
        shards,
        hours,
        hours["list"] + each / costs.known_rate / HOUR,
        images * costs.journal_bytes / 1e9,
        images * costs.output_bytes / 1e9,
        longest * machines * costs.machine_price + read,
    )


def show(plans: Sequence[Plan]) -> None:
    parts = list(plans[0].hours)
    head = f"{'images':>13} {'machines':>8} {'shards':>6} {'hours':>8}  by {'rerun h':>15}"
    print(f"{head} {'GB journals, output':>20} price")
    for each in plans:
        spent = ", ".join(f"{part} {each.hours[part]:.1f}" for part in parts)
        sizes = f"{each.journals:,.0f}, {each.outputs:,.0f}"
        longest = each.hours[each.bottleneck]
        print(
            f"{each.images:>13,} {each.machines:>8} {each.shards:>6} {longest:>8.1f}  {each.bottleneck:8}"
            f"{each.rerun:>9.1f} {sizes:>20} {each.price:,.0f}   ({spent} h)"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="*", default=[10_000_000, 1_000_000_000])
    parser.add_argument("--machines", type=int, nargs="*", default=[1, 10, 100, 1000])
    parser.add_argument("--rate", type=float, default=11.0, help="images/s of a machine")
    parser.add_argument("--megabytes", type=float, default=4.0)
    parser.add_argument("--network", type=float, default=100.0, help="MB/s of a machine")
    parser.add_argument("--list-rate", type=float, default=LIST_RATE, help="paths/s")
    parser.add_argument("--journal-rate", type=float, default=JOURNAL_RATE, help="answers/s")
    parser.add_argument("--known-rate", type=float, default=KNOWN_RATE, help="unchanged inputs/s")
    parser.add_argument("--journal-bytes", type=float, default=2100.0)
    parser.add_argument("--output-bytes", type=float, default=580.0)
    parser.add_argument("--shard-images", type=int, default=10_000_000, help="inputs of one journal, at most")
    parser.add_argument("--machine-price", type=float, default=0.0, help="an hour")
    parser.add_argument("--request-price", type=float, default=0.0, help="a thousand reads")
    parser.add_argument("--transfer-price", type=float, default=0.0, help="a gigabyte read")
    asked = vars(parser.parse_args())
    images, machines = asked.pop("images"), asked.pop("machines")
    show([plan(number, count, Costs(**asked)) for number in images for count in machines])


if __name__ == "__main__":
    main()
