"""A worker that an image kills; on the path of a Ray cluster's processes."""

import os

from facetag.cluster.looking import Looker


class DeadlyLooker(Looker):
    """Dies over images whose name says so."""

    def look(self, items):
        if any("deadly" in getattr(item, "path", "") for item in items):
            os._exit(1)
        return super().look(items)
