"""The table in the kernel: what was written last, and the shortest text that makes it what it should be."""

import asyncio

from localcluster.errors import ClusterError
from localcluster.native.policy.hooks import fixed_chains
from localcluster.native.policy.table import Table, difference, replacement

NFT_SECONDS = 30.0


class KernelTable:
    """The table of one node.

    Parameters
    ----------
    pod_cidr
        Range of the pods' addresses.
    """

    def __init__(self, pod_cidr: str) -> None:
        self._fixed = fixed_chains(pod_cidr)
        self._written: Table | None = None

    async def write(self, table: Table) -> None:
        """Make the kernel's table this one, in one step.

        What an earlier process left is replaced whole, in one step as well: it holds until then.

        Raises
        ------
        ClusterError
            If nftables refuses; the kernel's table is then as it was, and replaced whole the next time.
        """
        before, self._written = self._written, None
        text = replacement(table, self._fixed) if before is None else difference(before, table)
        if text:
            await _nft(text)
        self._written = table


async def _nft(text: str) -> None:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec("nft", "-f", "-", stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(NFT_SECONDS):
            _, said = await process.communicate(text.encode())
    except TimeoutError:
        process.kill()
        await process.wait()
        raise ClusterError(f"nft did not end within {NFT_SECONDS:.0f} s") from None
    if process.returncode:
        raise ClusterError(f"nft refused the table: {said.decode(errors='replace').strip()[:800]}")
