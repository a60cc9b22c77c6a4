"""What `pytest --nbval notebooks` needs: the arithmetic with which the outputs were saved.

Wider vector units sum in another order. Beliefs then differ by 1e-6, and of 18,000 sampled runs
four fall otherwise: enough to move the third digit of a result. So the kernels, which inherit these
variables, take the 256-bit units that nearly all x86 processors have (tried on AMD's alone).
`make notebooks` saves the outputs in the same way.
"""

import os

os.environ.setdefault("ATEN_CPU_CAPABILITY", "avx2")
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")
