"""The report of what workspaces, sleep and idleness cost, in Markdown."""

from collections import Counter
from statistics import median

from benchmark.copies import STEPS as COPIES
from benchmark.copies import TITLES as COPY_TITLES
from benchmark.copies import Copied
from benchmark.idling import Idling
from benchmark.life import STEPS, TITLES, Life
from benchmark.packs import FILES, Packs
from benchmark.report import number, table


def heading(environment: dict[str, str]) -> str:
    """Return what the figures were measured of."""
    return "**" + "; ".join(f"{name} {value}" for name, value in environment.items()) + "**\n"


def life_table(life: Life) -> str:
    """Return start, sleep and wake beside raw pods, and what the operator wrote for them."""
    head = ["real pods", "n", "raw pod, median s", "slowest", "sandbox, median s", "slowest", "× raw"]
    rows = [
        [
            TITLES[step],
            str(len(life.sandbox[step])),
            *(number(of(side[step]), 2) for side in (life.raw, life.sandbox) for of in (median, max)),
            number(life.ratio(step), 2),
        ]
        for step in STEPS
    ]
    return table(head, rows, words=1) + "\n\n" + writes_table(life)


def writes_table(life: Life) -> str:
    """Return the operator's writes per sandbox; its Leases go on whatever happens."""
    kinds = sorted({kind for counts in life.writes.values() for kind in counts if not kind.endswith(" leases")})
    rows = [[kind, *(written(life.writes[step], kind, len(life.sandbox[step])) for step in STEPS)] for kind in kinds]
    return table(["the operator's writes per sandbox", *STEPS], rows, words=1)


def written(counts: Counter[str], kind: str, sandboxes: int) -> str:
    """Return how often a kind was written for one sandbox."""
    return number(counts[kind] / sandboxes or None, 2)


def copies_table(copied: Copied) -> str:
    """Return snapshots, restores, rollbacks and forks beside the same by hand."""
    head = ["copies", "n", "by hand, median s", "slowest", "sandbox, median s", "slowest", "× by hand", "more, s"]
    rows = [
        [
            COPY_TITLES[step],
            str(len(copied.ours[step])),
            *(number(of(side[step]), 2) for side in (copied.by_hand, copied.ours) for of in (median, max)),
            number(copied.ratio(step), 2),
            number(median(copied.ours[step]) - median(copied.by_hand[step]), 2),
        ]
        for step in COPIES
    ]
    pause = (
        f"Pause of a snapshot, by its guest: median {median(copied.pauses):.3f} s, longest {max(copied.pauses):.3f} s."
    )
    return f"{table(head, rows, words=1)}\n\n{pause}"


def packs_table(packs: Packs) -> str:
    """Return packing and unpacking beside tar and zstd."""
    by_hand, ours = median(packs.by_hand[3]), median(packs.packed)
    rows = [
        ["pack: guest", number(ours, 2), number(ours / by_hand, 2), size(packs, "guest")],
        *(
            [f"tar \\| zstd -{level}", number(median(seconds), 2), number(median(seconds) / by_hand, 2),
             size(packs, f"zstd -{level}")]
            for level, seconds in packs.by_hand.items()
        ),
        ["unpack: guest", number(median(packs.unpacked), 2), number(unpack_ratio(packs), 2), ""],
        ["zstd -d \\| tar", number(median(packs.unpacked_by_hand), 2), number(1, 2), ""],
    ]  # fmt: skip
    return table([f"{FILES} MiB changed, {len(packs.packed)} times", "median s", "× by hand", "MB"], rows, words=1)


def unpack_ratio(packs: Packs) -> float:
    """How much longer the guest takes to unpack."""
    return median(packs.unpacked) / median(packs.unpacked_by_hand)


def size(packs: Packs, what: str) -> str:
    """Return the size of a pack in 10⁶ bytes."""
    return number(packs.sizes[what] / 1e6, 0)


def idle_table(idling: Idling) -> str:
    """Return what goes on while nothing happens."""
    cores = [f"{minute['operator'] / 60:.2%}" for minute in idling.minutes]
    rows = [
        ["operator CPU, of a core", f"{idling.share('operator'):.2%}"],
        ["in each minute", ", ".join(cores)],
        ["operator RSS, peak", f"{idling.memory / 1e6:.0f} MB"],
        ["kubelet pages a minute", number(idling.answers / len(idling.minutes), 0)],
        ["apiserver CPU, of a core", f"{idling.share('apiserver'):.2%}"],
    ]
    return table([f"{idling.count:,} idle sandboxes, on {idling.nodes} nodes", ""], rows, words=1)
