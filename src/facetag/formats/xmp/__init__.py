"""XMP sidecars: the packet as XML, its keywords, its face regions, and the file that holds it."""
