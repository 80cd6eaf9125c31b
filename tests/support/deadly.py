"""A worker that an image kills; on the path of a Ray cluster's processes."""

import os

from facetag.cluster.inference import ModelWorker


class DeadlyWorker(ModelWorker):
    """Dies over images whose name says so."""

    def infer(self, items):
        if any("deadly" in getattr(item, "path", "") for item in items):
            os._exit(1)
        return super().infer(items)
