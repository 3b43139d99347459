"""Array work as jobs on the bus: CuPy where there is a GPU, NumPy where there is none, equal to the bit."""
