"""What the paper compares itself with (section 5, Table 1), trained here on the same images: FaceTracer and PANDA."""
