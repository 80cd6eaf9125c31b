"""Photos and lists on web servers; they have no folders, and nothing is written there."""

from collections.abc import Iterator
from typing import Any, BinaryIO
from urllib.parse import quote

from facetag.remote.patience import status_of
from facetag.remote.store import Store, blocks_of, new_files
from facetag.remote.url import Stamp, Url

_BLOCK = 1 << 20  #: bytes that are asked of a stream at a time


class WebStore(Store):
    """One host. A login of the URL is sent as basic authentication, as aiohttp does."""

    def connect(self) -> Any:
        import aiohttp

        patience = aiohttp.ClientTimeout(total=None, sock_connect=15, sock_read=60)
        return new_files(
            "http", use_listings_cache=False, encoded=True, client_kwargs={"timeout": patience, "trust_env": True}
        )

    def name(self, url: Url) -> str:
        """Percent-escapes stay as they are, since a signature may be over them."""
        return quote(url.whole, safe="%/:=&?~#+!$,;'@()*[]")

    def replace(self, url: Url, stream: BinaryIO, before: Stamp | None) -> None:
        raise PermissionError("nothing is written to web servers")

    def _stamp(self, url: Url) -> Stamp:
        try:
            return super()._stamp(url)
        except FileNotFoundError as error:
            reason = error.__cause__  # fsspec calls whatever goes wrong a missing file
            if reason is None or status_of(error) == 404:
                raise
            raise reason from reason.__cause__

    def _read(self, url: Url, most: int) -> bytes:
        return b"".join(self._blocks(url, most))

    def _blocks(self, url: Url, most: int) -> Iterator[bytes]:
        """As a stream: the server may send for ever, whatever size it says."""
        with self.files.open(self.name(url), block_size=0, size=1) as stream:  # a size keeps it from asking for one
            yield from blocks_of(stream, most, _BLOCK)
