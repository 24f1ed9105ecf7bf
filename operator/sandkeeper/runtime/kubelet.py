"""Reads a few metrics from the kubelets' own pages. What they answer is bounded in time and size.

A kubelet is believed only behind a certificate that the given authority signed for the node's address: whoever stands
in its place could otherwise call every sandbox idle, and would be given the token.
"""

from __future__ import annotations

import math
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Final

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from sandkeeper.runtime.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from prometheus_client.samples import Sample

    from sandkeeper.runtime.account_token import AccountToken

_MOST_BYTES: Final = 16 << 20
"""A page of 500 pods is a tenth of this."""
_LONGEST_LINE: Final = 4096
_MOST_SAMPLES: Final = 2000
"""More pods than any kubelet runs."""
_TOO_MUCH: Final = "gives more than all its pods can account for"
_TIMEOUT: Final = aiohttp.ClientTimeout(total=15, sock_connect=5)


class KubeletError(Exception):
    """A kubelet gave no measurements; the text is the end of a sentence that begins with its node.

    Attributes
    ----------
    kind
        One word for metrics.
    """

    def __init__(self, kind: str, text: str) -> None:
        self.kind = kind
        super().__init__(text)


class Authority:
    """Whom we believe to be a kubelet.

    Parameters
    ----------
    file
        Certificates of authorities, PEM; read anew when it changes.
    verified
        False believes everybody.
    """

    def __init__(self, file: str, *, verified: bool = True) -> None:
        self._file = Path(file)
        self._verified = verified
        self._changed = math.nan
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    @property
    def context(self) -> ssl.SSLContext:
        """TLS as the file says it now.

        Raises
        ------
        KubeletError
            If there are no certificates in it.
        """
        if self._verified and self._changed != (changed := self._stamp()):
            self._context, self._changed = self._read(), changed
        elif not self._verified and self._context.check_hostname:
            self._context.check_hostname = False
            self._context.verify_mode = ssl.CERT_NONE
        return self._context

    def _stamp(self) -> float:
        try:
            return self._file.stat().st_mtime
        except OSError as error:
            raise KubeletError("authority", f"can't be verified: {error.strerror}: {self._file}") from error

    def _read(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=str(self._file))
        except (OSError, ssl.SSLError) as error:
            raise KubeletError("authority", f"can't be verified: no certificates in {self._file}") from error


class Kubelets:
    """All kubelets of a cluster.

    Parameters
    ----------
    token
        Who we are to them.
    authority
        Who they are to us.
    user_agent
        How we appear in their logs.
    limit
        Most of them asked at the same time; enough that those that are gone do not keep the others waiting.
    """

    def __init__(self, token: AccountToken, authority: Authority, user_agent: str, *, limit: int = 32) -> None:
        self._token = token
        self._authority = authority
        self._user_agent = user_agent
        self._limit = limit
        self._session: aiohttp.ClientSession | None = None

    async def samples(
        self, host: str, port: int, path: str, metrics: tuple[str, ...], having: str = ""
    ) -> list[Sample]:
        """Read the samples of a few metrics.

        Parameters
        ----------
        host
            The node's address.
        path
            Of the page, such as ``/metrics/resource``.
        having
            What a sample's line has to contain.

        Raises
        ------
        KubeletError
            If there is no answer that can be used.
        """
        url = f"https://[{host}]:{port}{path}" if ":" in host else f"https://{host}:{port}{path}"
        try:
            lines = await self._lines(url, tuple(f"{each}{{".encode() for each in metrics), having.encode())
            return [sample for family in text_string_to_metric_families(lines) for sample in family.samples]
        except aiohttp.ClientConnectorCertificateError as error:
            raise KubeletError("certificate", f"has a certificate that can't be verified: {_why(error)}") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise KubeletError("unreachable", f"can't be reached: {str(error) or 'no answer in time'}") from error
        except (ValueError, LookupError) as error:
            raise KubeletError("malformed", "gives measurements that can't be read") from error

    async def close(self) -> None:
        """Close all connections."""
        if self._session:
            await self._session.close()

    async def _lines(self, url: str, starts: tuple[bytes, ...], having: bytes) -> str:
        for _ in range(2):
            token = await self._current_token()
            try:
                return await self._read(url, token, starts, having)
            except _UnauthorizedError:
                self._token.refuse(token)
        raise KubeletError("refused", "does not accept our token")

    async def _current_token(self) -> str:
        try:
            return await self._token.get()
        except (ApiError, aiohttp.ClientError, TimeoutError) as error:
            raise KubeletError(
                "token", f"can't be asked without a token: {str(error) or 'no answer in time'}"
            ) from error

    async def _read(self, url: str, token: str, starts: tuple[bytes, ...], having: bytes) -> str:
        headers = {"Authorization": f"Bearer {token}"}
        async with self._opened().get(url, headers=headers, ssl=self._authority.context, allow_redirects=False) as page:
            if page.status == 401:
                raise _UnauthorizedError
            if page.status == 403:
                raise KubeletError("refused", "does not let us read its metrics")
            if page.status != 200:
                raise KubeletError("malformed", f"answers with HTTP {page.status} instead of its metrics")
            found = await _matching(_lines(page.content), starts, having)
        return b"\n".join([*found, b""]).decode()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._limit, force_close=True),
                # Compression would cost both sides more than it saves, and lets a small answer be a large one.
                headers={"User-Agent": self._user_agent, "Accept-Encoding": "identity"},
                auto_decompress=False,
                timeout=_TIMEOUT,
                trust_env=False,
            )
        return self._session


class _UnauthorizedError(Exception):
    """The token was not accepted."""


async def _matching(lines: AsyncIterator[bytes], starts: tuple[bytes, ...], having: bytes) -> list[bytes]:
    found: list[bytes] = []
    async for line in lines:
        if line.startswith(starts) and having in line:
            if len(line) > _LONGEST_LINE or len(found) == _MOST_SAMPLES:
                raise KubeletError("malformed", _TOO_MUCH)
            found.append(line)
    return found


async def _lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    total, rest = 0, b""
    async for chunk in stream.iter_any():
        total += len(chunk)
        *whole, rest = (rest + chunk).split(b"\n")
        if total > _MOST_BYTES or len(rest) > _LONGEST_LINE:
            raise KubeletError("malformed", _TOO_MUCH)
        for line in whole:
            yield line


def _why(error: aiohttp.ClientConnectorCertificateError) -> str:
    cause = error.certificate_error
    return cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else str(cause)
