"""An output as a page: what is counted, the faces that are shown, the page; and two outputs held together."""
