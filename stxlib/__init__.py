"""stxlib: recipes for speech recognition and spoken language understanding that learn from speech and text.

The alphabet of dimensions, used in every docstring and shape comment:

    B  batch (utterances)          U  tokens or units
    N  samples of a wave           D  width of a network
    T  frames or latents           F  mel bins
    V  vocabulary                  H  attention heads
    K  beam or n-best

Lengths travel beside their tensor, `(x, x_lens)`; what lies past a length is never looked at.
This module imports nothing, so that `import stxlib` costs nothing.
"""

__version__ = "0.1.0"
